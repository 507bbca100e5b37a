"""`--repro` on a pipeline of two stages that copy, in a clean clone."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import set_params
from tests.imports import ROOT
from tests.repository import call, commit, run_and_commit
from thaw.project import files, paths, software
from thaw.project.errors import UserError
from tools.revisions import clean_run

DVC = """
stages:
  split:
    cmd: python split.py
    deps: [split.py, images]
    params: [data]
    outs: [split.csv]
  fine_tune:
    cmd: mkdir -p metrics; cp split.csv model.h5; cp environment.json metrics/environment.json
    deps: [split.csv, environment.json]
    outs: [model.h5, metrics/environment.json]
  export:
    cmd: date +%N > export.txt
    deps: [model.h5]
    outs: [export.txt]
"""
SPLIT = """
import os
from pathlib import Path
from ruamel.yaml import YAML
source = YAML(typ="safe").load(Path("params.yaml"))["data"]["source"]
lines = [Path(name).read_text() for name in ("images/a.jpg", source)]
lines.append(str("thaw" in os.environ["XDG_CACHE_HOME"]))
Path("split.csv").write_text("\\n".join(lines))
"""


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository that was run and committed, with an image that Git ignores and one beside it."""
    folder = tmp_path / "repository"
    (folder / "images").mkdir(parents=True)
    (folder / "images/a.jpg").write_text("image")
    (folder / "split.py").write_text(SPLIT)
    (folder / "dvc.yaml").write_text(DVC)
    (folder / ".gitignore").write_text("/images/*\n")
    files.write_json(folder / "environment.json", software.environment())
    (tmp_path / "photo.jpg").write_text("photo")
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder / "params.yaml", {"data": {"source": "../photo.jpg"}})
    monkeypatch.chdir(folder)
    run_and_commit(folder)
    return folder


@pytest.mark.slow
def test_a_clean_clone_gives_the_same_bytes(repository, tmp_path, capsys):
    shutil.rmtree(".dvc/cache")
    (tmp_path / "again").mkdir()
    clean_run.check(tmp_path / "again")
    assert capsys.readouterr().out == (
        "split: the same bytes\nfine_tune: the same bytes\n"
        "export is not compared, as its files differ at every save\n"
    )
    assert call("git", "status", "--porcelain", cwd=repository) == ""
    assert not Path(".dvc/cache").exists()
    assert "store: null" in (tmp_path / "again/clone/params.yaml").read_text()


@pytest.mark.slow
def test_the_first_stage_that_differs_is_named_with_its_cause(repository, tmp_path):
    def said() -> str:
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        (tmp_path / "again").mkdir()
        with pytest.raises(UserError) as error:
            clean_run.check(tmp_path / "again")
        return str(error.value)

    Path("images/a.jpg").write_text("another image")
    assert said() == (
        "split left another split.csv than dvc.lock has; images is another, too: run `dvc repro` "
        "and commit dvc.lock"
    )
    Path("images/a.jpg").write_text("image")
    lock = Path("dvc.lock").read_text()
    start = lock.index("md5: ", lock.index("hash: md5", lock.index("path: model.h5")) + 9)
    Path("dvc.lock").write_text(f"{lock[: start + 5]}{'f' * 32}{lock[start + 37 :]}")
    commit(repository, "another machine's bytes")
    assert said() == "fine_tune left another model.h5 than dvc.lock has, of the same inputs"


def test_a_difference_of_machines_is_the_cause(tmp_path, monkeypatch):
    other = software.environment() | {"threads": 99}
    monkeypatch.setattr(clean_run, "_recorded", lambda _: other)
    said = clean_run._why({"deps": []}, {"deps": []}, tmp_path)
    assert said.startswith("; the run of dvc.lock was computed by another machine: threads 99 to ")


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A clone of this folder, which has more beside it and in it."""
    for name in ("here/digits", "here/tracked"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("photos.zip", "x.h5", "here/y.h5", "here/imagenet"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "elsewhere/clone"


@pytest.mark.parametrize(
    ("section", "value", "there"),
    [
        ("data", "../photos.zip", "../photos.zip"),
        ("data", "digits", None),
        ("data", "../lacks.zip", None),
        ("data", "https://example.com/x.zip", None),
        ("backbone", "y.h5", "y.h5"),
        ("backbone", {"file": "../x.h5", "sha256": None}, "../x.h5"),
        ("backbone", "imagenet", None),
        ("backbone", None, None),
    ],
)
def test_files_that_git_has_not_are_found_from_a_clone(clone, section, value, there):
    key = {"data": "source", "backbone": "weights"}[section]
    changes = clean_run._out_of_reach({section: {key: value, "other": 7}}, clone)
    if there is None:
        assert changes == {}
        return
    place = str(Path.cwd() / there)
    wanted = place if isinstance(value, str) else {"file": place, "sha256": None}
    assert changes == {section: {key: wanted}}


def test_what_the_clone_has_is_read_there(clone):
    (clone / "tracked").mkdir(parents=True)
    assert clean_run._out_of_reach({"data": {"source": "tracked"}}, clone) == {}


def test_a_path_made_absolute_is_no_other_setting(clone, monkeypatch):
    monkeypatch.setattr(clean_run, "_recorded", lambda _: software.environment())

    def entry(source: str, side: int) -> dict:
        return {"params": {"params.yaml": {"data": {"source": source, "min_side": side}}}}

    wanted, there = entry("../photos.zip", 7), str(Path.cwd() / "../photos.zip")
    assert clean_run._why(wanted, entry(there, 7), clone) == ", of the same inputs"
    said = clean_run._why(wanted, entry(there, 9), clone)
    assert said.startswith("; params.yaml is another, too")


def test_a_clone_that_cannot_be_made_is_one_line(tmp_path):
    """As on a full disk."""
    (tmp_path / "clone").touch()
    command = ["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")]
    with pytest.raises(UserError, match=r"^no clean clone: fatal: .* already exists"):
        clean_run._call(command, "no clean clone")


@pytest.mark.slow
def test_a_stage_that_fails_is_named_with_its_last_word(repository, tmp_path):
    Path("split.py").write_text("import sys; sys.exit('error: no split')")
    commit(repository, "broken")
    with pytest.raises(UserError, match=r"force split` failed in a clean clone: error: no split$"):
        clean_run.check(tmp_path)


def test_a_commit_without_a_run_is_said(repository, tmp_path):
    call("git", "rm", "--quiet", "dvc.lock", cwd=repository)
    commit(repository, "no run")
    with pytest.raises(UserError, match=r"^the last commit's dvc.lock has no stage split; "):
        clean_run.check(tmp_path)


def test_what_was_recorded_comes_from_dvc_s_cache(repository, tmp_path):
    assert clean_run._recorded(tmp_path / "one") == software.environment()
    shutil.rmtree(".dvc/cache")
    shutil.rmtree(paths.ENVIRONMENT.parent)
    assert clean_run._recorded(tmp_path / "two") is None
