import shutil
from pathlib import Path

import pytest
from dvc.api import DVCFileSystem

from tests.repository import call
from tests.small_run import make
from tools.revisions import run_revision

OF_GIT, OF_DVC = Path("metrics/train_head/plots/metrics"), Path("data/predictions.csv")


def test_a_name_is_a_commit_and_nothing_else_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_revision.resolve("main") is None  # no repository
    make(tmp_path)
    commit = call("git", "rev-parse", "HEAD", cwd=tmp_path).strip()
    assert {run_revision.resolve(name) for name in ("main", "HEAD", commit)} == {commit}
    assert run_revision.resolve("nonsense") is None


def test_files_of_git_and_of_dvc_are_copied_to_their_places(tmp_path, monkeypatch):
    """And what is half copied, or nowhere, is not left behind."""
    monkeypatch.chdir(make(tmp_path))
    there, folder = DVCFileSystem(rev="HEAD"), tmp_path / "elsewhere"
    for path in (OF_GIT, OF_DVC):
        run_revision.copy(there, path, folder)
    assert (folder / OF_DVC).read_bytes() == OF_DVC.read_bytes()
    assert len(list((folder / OF_GIT).rglob("*.tsv"))) == 4
    with pytest.raises(FileNotFoundError):
        run_revision.copy(there, Path("metrics/no.json"), folder)
    shutil.rmtree(".dvc/cache")
    with pytest.raises(run_revision.OutOfReach):
        run_revision.copy(DVCFileSystem(rev="HEAD"), OF_DVC, tmp_path / "third")
    assert not (tmp_path / "third" / OF_DVC).exists()
