"""What tools find: a repository that runs DVC experiments, and a project with an export."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import TINY, draw_images, run_stage, set_params
from tests.imports import ROOT
from tests.repository import call, commit, make_repository
from tests.tools import small_model
from thaw.project import paths


@pytest.fixture(scope="session")
def unchanged(tmp_path_factory) -> Path:
    """A committed project that was never run; its images lie elsewhere. Only to be read."""
    folder = tmp_path_factory.mktemp("unchanged")
    repository = make_repository(folder / "repository")
    draw_images(folder / "elsewhere")
    set_params(repository / "params.yaml", {"data": {"source": str(folder / "elsewhere")}})
    (repository / "images/README.md").touch()
    call("git", "add", "--force", "images/README.md", cwd=repository)
    commit(repository, "source")
    return repository


@pytest.fixture
def repository(unchanged, tmp_path, monkeypatch) -> Path:
    """A copy of the committed project, as the current folder."""
    folder = tmp_path / "repository"
    shutil.copytree(unchanged, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run_tool(repository, monkeypatch, capfd) -> Callable[..., str]:
    """Run a tool in the repository, with its arguments, and return what it printed."""

    def run(tool: ModuleType, *arguments: str) -> str:
        monkeypatch.setattr("sys.argv", [tool.__name__, *arguments])
        tool.main()
        return capfd.readouterr().out

    return run


@pytest.fixture(scope="session")
def small_export(tmp_path_factory) -> Path:
    """A folder with a small classifier in export/ and room for a store. Only to be read."""
    folder = tmp_path_factory.mktemp("small")
    small_model.export(folder / "export")
    return folder


@pytest.fixture
def exported(small_export, project) -> Path:
    """A project with an export and nothing else; its network is converted once for all tests."""
    shutil.copytree(small_export / "export", paths.EXPORT)
    set_params(project / "params.yaml", {"runtime": {"store": str(small_export / "store")}})
    return project


@pytest.fixture(scope="session")
def split_once(tmp_path_factory) -> Path:
    """A project after the stages download and split. Only to be read."""
    folder = tmp_path_factory.mktemp("split")
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder / "params.yaml", TINY)
    draw_images(folder / "images")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stage("download")
        run_stage("split")
    return folder


@pytest.fixture
def split_images(split_once, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the current folder."""
    folder = tmp_path / "project"
    shutil.copytree(split_once, folder)
    monkeypatch.chdir(folder)
    return folder
