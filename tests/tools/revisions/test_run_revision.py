import shutil
from pathlib import Path

import pytest

from tests.repository import call
from tests.small_run import make
from thaw.project.errors import UserError
from tools.revisions import dvc_repo, run_revision

OF_GIT, OF_DVC = Path("metrics/train_head/plots/metrics"), Path("data/predictions.csv")


def test_a_name_is_a_commit_and_nothing_else_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no DVC repository here; run from"):
        run_revision.resolve("main")
    make(tmp_path)
    commit = call("git", "rev-parse", "HEAD", cwd=tmp_path).strip()
    assert {run_revision.resolve(name) for name in ("main", "HEAD", commit)} == {commit}
    assert run_revision.resolve("nonsense") is None


def test_files_of_git_and_of_dvc_are_copied_to_their_places(tmp_path, monkeypatch):
    """And what is half copied, or nowhere, is not left behind."""
    monkeypatch.chdir(make(tmp_path))
    folder = tmp_path / "elsewhere"
    with dvc_repo.at("HEAD") as there:
        for path in (OF_GIT, OF_DVC):
            run_revision.copy(there, path, folder)
        assert (folder / OF_DVC).read_bytes() == OF_DVC.read_bytes()
        assert len(list((folder / OF_GIT).rglob("*.tsv"))) == 4
        with pytest.raises(FileNotFoundError):
            run_revision.copy(there, Path("metrics/no.json"), folder)
    shutil.rmtree(".dvc/cache")
    with dvc_repo.at("HEAD") as there, pytest.raises(run_revision.OutOfReach):
        run_revision.copy(there, OF_DVC, tmp_path / "third")
    assert not (tmp_path / "third" / OF_DVC).exists()


def test_in_a_folder_of_a_larger_repository_paths_are_the_project_s(tmp_path, monkeypatch):
    """And in a worktree of it, with letters in its path that are no ASCII."""
    folder = make(tmp_path / "larger/thaw", larger=tmp_path / "larger")
    worktree = tmp_path / "Äpfel und 苹果 (1)"
    call("git", "worktree", "add", "--quiet", "-b", "other", str(worktree), cwd=folder)
    for place in (folder, worktree / "thaw"):
        monkeypatch.chdir(place)
        (place / "stages").mkdir()
        (place / "stages/split.py").touch()
        call("git", "add", "stages", cwd=place)
        found = run_revision.at("main", tmp_path / place.parent.name / "copy")
        assert found.counts.to_numpy().sum() == 1000
        assert run_revision.changed_code(found.commit) == ["stages/split.py"]
    assert run_revision.at("main", tmp_path / "third").predictions is None  # a cache of its own
    monkeypatch.chdir(folder)
    assert len(run_revision.at("main", tmp_path / "fourth").predictions) == 200
