import shutil
from pathlib import Path

import numpy as np
import pytest
from dvc.repo import Repo

from tests.conftest import TINY, set_params
from tests.imports import ROOT
from tests.repository import call, commit, init_git, reproduce
from tests.tools.small_model import SIDE, by_keras, export
from thaw.images.settings import Decoding
from thaw.project import params
from thaw.project.errors import UserError
from tools.serving.predictor import Predictor, load_predictor

STAGE = """
stages:
  export:
    cmd: mkdir -p models && cp -r given-${export.min_accuracy} models/export
    params: [export, images]
    outs: [models/export]
"""
# At another revision DVC takes a relative path of a remote for one from the file system's root.
REMOTE = """
[core]
    remote = there
['remote "there"']
    url = {}
"""
FIRST = Path("given-0.1")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3)).astype("uint8")


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository with two exports: the first as the tag v1, the second in the workspace."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "dvc.yaml").write_text(STAGE)
    (folder / ".gitignore").write_text("/given*\n")
    init_git(folder)
    call("git", "commit", "--quiet", "--allow-empty", "--message", "start", cwd=folder)
    call("git", "tag", "v0", cwd=folder)
    Repo.init(folder).close()
    (folder / ".dvc/config").write_text(REMOTE.format(tmp_path / "remote"))
    for number, upright in ((0.1, False), (0.2, True)):
        export(folder / f"given-{number}", [f"a{number}", "b"], seed=int(10 * number))
        changes = {
            "export": {"min_accuracy": number},
            "images": {"apply_exif_orientation": upright},
        }
        set_params(folder / "params.yaml", {**changes, "runtime": TINY["runtime"]})
        reproduce(folder)
        if not upright:
            commit(folder, "first")
            call("git", "tag", "v1", cwd=folder)
    return folder


def check_first(predictor: Predictor, name: str) -> None:
    assert (predictor.name, predictor.labels) == (name, ["a0.1", "b"])
    assert predictor.probabilities(PIXELS) == pytest.approx(by_keras(FIRST, PIXELS), abs=1e-5)
    assert not predictor.loader.decoding.apply_exif_orientation
    assert params.load(Decoding, "images").apply_exif_orientation


def test_a_revisions_export_comes_from_the_cache_or_once_from_a_remote(repository):
    with pytest.raises(UserError, match=r"^--model v0: it has no params.yaml; name a revision th"):
        load_predictor("v0")
    with pytest.raises(UserError, match=r"^--model nonsense: neither head, fine_tuned, a path th"):
        load_predictor("nonsense")
    assert load_predictor().labels == ["a0.2", "b"]
    check_first(load_predictor("v1"), "v1")
    call("dvc", "push", "--quiet", "--all-tags", cwd=repository)
    shutil.rmtree(repository / ".dvc/cache")
    check_first(load_predictor("HEAD"), "HEAD")
    shutil.rmtree(repository.parent / "remote")
    check_first(load_predictor("v1"), "v1")
    shutil.rmtree(repository / ".dvc/cache")
    with pytest.raises(UserError, match=r"^--model v1: its models/export is neither in DVC's cac"):
        load_predictor("v1")


def test_an_export_of_another_run_than_its_params_is_refused(repository):
    """As of an experiment that ended before the stage export."""
    set_params(repository / "params.yaml", {"images": {"apply_exif_orientation": False}})
    call("git", "commit", "--quiet", "--all", "--message", "not run", cwd=repository)
    with pytest.raises(UserError, match=r"^--model HEAD: export was run with another section imag"):
        load_predictor("HEAD")


@pytest.mark.slow
def test_an_experiment_is_a_model(repository):
    call("git", "commit", "--quiet", "--all", "--message", "second", cwd=repository)
    change = ["-S", "export.min_accuracy=0.1", "-S", "images.apply_exif_orientation=false"]
    call("dvc", "exp", "run", "--quiet", "--name", "trial", *change, cwd=repository)
    call("git", "reset", "--quiet", "--hard", cwd=repository)
    check_first(load_predictor("trial"), "trial")
