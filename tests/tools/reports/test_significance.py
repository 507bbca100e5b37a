import shutil
from pathlib import Path

import pytest

from tests.repository import call
from tests.small_run import leave, make
from thaw.project import params
from tools.reports import significance
from tools.revisions import run_revision


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A repository whose branch main has a run with 5 of 200 images misclassified. To be read."""
    return make(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def repository(finished, tmp_path, monkeypatch):
    """A copy of it, as the current folder."""
    folder = tmp_path / "repository"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def judged(scratch: Path, against: str = "main") -> str:
    """Judge the workspace by the budget in report.yaml."""
    budget = params.load(significance.Budget, "budget", Path("report.yaml"))
    before, after = run_revision.at(against, scratch), run_revision.workspace()
    _, why = significance.judge(significance.compare(before, after, budget.model), budget)
    return why


def test_what_chance_explains_passes_and_says_so(repository, tmp_path):
    leave(repository, 8)
    why = judged(tmp_path)
    assert why.startswith("passes, within chance: test accuracy of fine_tuned -1.5 points")
    assert "p = 0.25 (McNemar); more than 0.5, but chance alone may well do that" in why


def test_predictions_come_from_a_remote(repository, tmp_path):
    remote = str(tmp_path / "remote")
    call("dvc", "remote", "add", "--default", "--local", "there", remote, cwd=repository)
    call("dvc", "push", "--quiet", cwd=repository)
    leave(repository, 6)
    shutil.rmtree(repository / ".dvc/cache")
    assert "0 fixed, 1 regressed" in judged(tmp_path / "scratch")


def test_test_sets_that_do_not_overlap_are_compared_as_a_whole(repository, tmp_path):
    leave(repository, 30, ending="png")
    assert "on 200 and 200 test images: p = " in judged(tmp_path)


def test_against_an_experiment(repository, tmp_path):
    call("dvc", "exp", "save", "--name=same", cwd=repository)
    assert judged(tmp_path, "same").startswith("passes: test accuracy of fine_tuned +0.0 points")
