"""A repository as a tool finds it that runs DVC experiments."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import draw_pictures, set_params
from tests.test_pipeline import call, make_repository


def make(folder: Path) -> Path:
    """Return a committed project that was never run; its pictures lie elsewhere."""
    repository = make_repository(folder / "repository")
    draw_pictures(folder / "elsewhere")
    set_params(repository / "params.yaml", {"data": {"source": str(folder / "elsewhere")}})
    (repository / "pictures/README.md").touch()
    call("git", "add", "--force", "pictures/README.md", cwd=repository)
    call("git", "commit", "--quiet", "--all", "--message", "source", cwd=repository)
    return repository


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A committed project, as the current folder."""
    folder = make(tmp_path)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory) -> Path:
    """A committed project. Only to be read."""
    return make(tmp_path_factory.mktemp("unchanged"))


@pytest.fixture
def run_tool(repository, monkeypatch, capfd) -> Callable[..., str]:
    """Run a tool in the repository, with its arguments, and return what it printed."""

    def run(tool: ModuleType, *arguments: str) -> str:
        monkeypatch.setattr("sys.argv", [tool.__name__, *arguments])
        tool.main()
        return capfd.readouterr().out

    return run
