"""Every kind of output with a flipped bit, found and put right by the line that is named."""

import os
import shutil
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.conftest import STAGES, enter_copy
from tests.repository import call, make_repository, reproduce, run_and_commit
from tools.revisions import outputs

MAKE = """
import pathlib
for name in ("file.csv", "kept.json", "folder/one", "folder/sub/two, 猫", "kept/three"):
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(name).write_text("content of " + name)
"""
DVC = """
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    outs:
      - file.csv
      - folder
      - kept.json:
          cache: false
      - kept:
          cache: false
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A repository with a file and a folder in DVC's cache, and a file and a folder in Git."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "make.py").write_text(MAKE)
    (folder / "dvc.yaml").write_text(DVC)
    run_and_commit(folder)
    return folder


@pytest.fixture
def repository(made, tmp_path, monkeypatch) -> Path:
    folder = enter_copy(made, tmp_path / "repository", monkeypatch)
    assert damage() is None
    return folder


def damage() -> outputs.Damage | None:
    with Repo() as repo:
        found = map(outputs.first_damage, outputs.of_stages(repo))
        return next(filter(None, found), None)


def flip_a_bit(file: Path) -> None:
    """Flip one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    damaged(file, bytes(content))


def damaged(file: Path, content: bytes) -> None:
    """Write as a failing disk does: time and rights stay, by which DVC tells a change."""
    before = file.stat()
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_right(found: outputs.Damage) -> None:
    call("sh", "-c", found.remedy, cwd=Path.cwd())
    assert damage() is None


def of_cache(content: bytes) -> Path:
    [file] = [
        each
        for each in Path(".dvc/cache").rglob("*")
        if each.is_file() and content in each.read_bytes()
    ]
    return file


FILES = ["file.csv", "folder/one", "folder/sub/two, 猫", "kept.json", "kept/three"]


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_is_named_and_put_right(repository, file):
    flip_a_bit(Path(file))
    found = damage()
    assert found.problem == "does not have the bytes that stage make left"
    assert found.file == file
    put_right(found)
    assert Path(file).read_text() == f"content of {file}"


@pytest.mark.slow
def test_files_too_many_and_too_few_are_named(repository):
    Path("folder/new").touch()
    assert str(damage()).startswith("folder/new is not of what stage make left; to put it right: ")
    put_right(damage())
    Path("folder/one").unlink()
    assert str(damage()).startswith("folder/one is missing of what stage make left; ")
    put_right(damage())
    Path("file.csv").unlink()
    assert str(damage()) == (
        "file.csv of stage make is missing; to put it right: rm -rf file.csv && "
        "dvc checkout file.csv"
    )
    put_right(damage())


OBJECTS = [b"content of file.csv", b"content of folder/one", b'"relpath"']


@pytest.mark.slow
@pytest.mark.parametrize("content", OBJECTS)
def test_a_damaged_object_of_the_cache_is_named_and_put_right(repository, content):
    """A cut off one, which DVC calls up to date, and which would come back with a checkout."""
    file = of_cache(content)
    damaged(file, file.read_bytes()[:-1])
    if content != OBJECTS[-1]:  # which is no JSON any more
        assert call("dvc", "status", cwd=repository) == "Data and pipelines are up to date.\n"
    found = damage()
    assert found.file == str(file)
    assert found.problem.startswith("is damaged in DVC's cache (f")
    put_right(found)
    assert content in file.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("file", ["file.csv", "folder/one"])
def test_where_both_are_damaged_the_stage_runs_again(repository, file):
    flip_a_bit(of_cache(f"content of {file}".encode()))
    flip_a_bit(Path(file))
    found = damage()
    assert found.file == file
    assert found.remedy.endswith(" && dvc repro --single-item --force make")
    put_right(found)
    assert Path(file).read_text() == f"content of {file}"


@pytest.mark.slow
def test_what_is_kept_in_git_and_not_committed_is_made_anew(repository):
    Path("make.py").write_text(MAKE.replace("content of ", "contents of "))
    reproduce(repository)
    flip_a_bit(Path("kept.json"))
    assert damage().remedy == "rm -rf kept.json && dvc repro --single-item --force make"
    put_right(damage())


def test_what_is_in_no_cache_is_no_damage(repository):
    shutil.rmtree(".dvc/cache")
    assert damage() is None


def one_file(path: Path) -> Path:
    """Return the file itself, or a folder's last one that is not empty."""
    files = sorted(each for each in path.rglob("*") if each.is_file() and each.stat().st_size)
    return files[-1] if path.is_dir() else path


def test_one_flipped_bit_in_each_output_of_a_run_is_found(finished_run, tmp_path, monkeypatch):
    folder = make_repository(tmp_path / "repository")
    monkeypatch.chdir(folder)
    for name in ("data", "models", "metrics"):
        shutil.copytree(finished_run / name, folder / name, dirs_exist_ok=True)
    with chdir(folder), Repo() as repo:
        repo.commit(force=True)
    with Repo() as repo:
        found = list(outputs.of_stages(repo))
        assert {out.stage.name for out in found} == set(STAGES)
        assert len(found) > 20
        for out in found:
            path = Path(out.def_path)
            file = one_file(path)
            flip_a_bit(file)
            said = outputs.first_damage(out)
            assert said.file == str(file if out.use_cache else path)
            assert f"stage {out.stage.name} left" in said.problem
            flip_a_bit(file)
            assert outputs.first_damage(out) is None
