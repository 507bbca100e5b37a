"""This project as DVC sees it: its repository, and its files at a revision.

The project may be a folder of a larger Git repository, and its checkout a worktree of another.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from dvc.exceptions import NotDvcRepoError
from dvc.fs.dvc import DVCFileSystem
from dvc.repo import Repo
from dvc.scm import SCMError

from thaw.project.errors import UserError


@contextmanager
def opened() -> Iterator[Repo]:
    """Open the repository. Raises UserError where DVC or Git has none here."""
    try:
        repo = Repo()
    except NotDvcRepoError:
        raise UserError("no DVC repository here; run from the project's root") from None
    except SCMError as error:
        raise UserError(f"{error}, which DVC needs; `git init` makes it one") from None
    with repo:
        yield repo


@contextmanager
def at(revision: str) -> Iterator[DVCFileSystem]:
    """Give the files of Git and DVC at a revision, by their paths from the project's root.

    Without this, DVC takes paths from the root of the Git repository. Raises SCMError when there is
    no such revision.
    """
    with opened() as repo, repo.switch(revision):
        yield repo.dvcfs
