"""Git repositories for tests of DVC, and one with this project in it."""

import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

from dvc.repo import Repo

from tests import tiny
from tests.conftest import TINY, draw_images, set_params
from tests.imports import ROOT

CODE = ("stages", "thaw", ".dvc")


def call(*command: str, cwd: Path) -> str:
    """Run a command and return what it printed; the test fails where the command does."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def init_git(folder: Path) -> None:
    """Make `folder` a Git repository whose branch is main, with nothing in it yet."""
    call("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    sign(folder)


def sign(folder: Path) -> None:
    """Give a Git repository somebody who commits."""
    with (folder / ".git/config").open("a") as config:
        config.write("[user]\n\tname = test\n\temail = test@example.com\n")


def reproduce(folder: Path) -> None:
    """Do what `dvc repro` does, without a process of its own, which takes a second."""
    with chdir(folder), Repo() as repo:
        repo.reproduce()


def commit(folder: Path, message: str) -> None:
    """Commit all that Git does not ignore."""
    call("git", "add", "--all", cwd=folder)
    call("git", "commit", "--quiet", "--message", message, cwd=folder)


def run_and_commit(folder: Path) -> None:
    """Make a folder with a pipeline a repository in which it was run and committed."""
    init_git(folder)
    Repo.init(folder).close()
    reproduce(folder)
    commit(folder, "run")


def make_repository(folder: Path) -> Path:
    """Fill `folder` with this project's tracked files, tiny params and images, and commit."""
    folder.mkdir(exist_ok=True)
    tracked = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    for path in call(*tracked, *CODE, cwd=ROOT).splitlines():
        if (ROOT / path).is_file():  # and not just deleted
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    tiny.install(folder)
    set_params(folder / "params.yaml", TINY)
    draw_images(folder / "images")
    init_git(folder)
    commit(folder, "start")
    return folder
