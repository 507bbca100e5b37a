"""A repository as a tool finds it that runs DVC experiments."""

import pytest

from tests.conftest import draw_pictures, set_params
from tests.test_pipeline import call, make_repository


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A committed project that was never run, as the current folder; its pictures lie elsewhere."""
    folder = make_repository(tmp_path / "repository")
    draw_pictures(tmp_path / "elsewhere")
    set_params(folder / "params.yaml", {"data": {"source": str(tmp_path / "elsewhere")}})
    (folder / "pictures/README.md").touch()
    call("git", "add", "--force", "pictures/README.md", cwd=folder)
    call("git", "commit", "--quiet", "--all", "--message", "source", cwd=folder)
    monkeypatch.chdir(folder)
    return folder
