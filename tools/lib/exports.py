"""The classifier that another revision of this repository exported."""

from contextlib import suppress
from pathlib import Path

import yaml
from dvc.api import DVCFileSystem
from dvc.exceptions import NotDvcRepoError
from dvc.repo import Repo
from dvc.scm import SCMError, resolve_rev

from stages.lib import params, paths
from stages.lib.errors import UserError
from tools.lib import lock

LOCK = "dvc.lock"


def bring(name: str, folder: Path) -> Path:
    """Copy params.yaml and the export of a branch, tag, commit or experiment into `folder`.

    Returns `folder`, where they lie as in the project. The export comes through DVC's cache, so
    that a remote is asked for it once. Raises UserError when there is no such revision, or it has
    no such file, or that is out of reach or of another run.
    """
    try:
        with Repo() as repo:
            commit = resolve_rev(repo.scm, name)
            with suppress(Exception):  # no remote, a locked repository: it may be in the cache
                repo.fetch([paths.EXPORT.as_posix()], revs=[commit], workspace=False)
    except (SCMError, NotDvcRepoError):
        raise UserError(
            f"--model {name}: neither head, fine_tuned, a path that is there, nor a branch, tag, "
            "commit or experiment of this repository"
        ) from None
    there = DVCFileSystem(rev=commit)
    for path in (paths.PARAMS, paths.EXPORT):
        if not there.exists(path.as_posix()):
            raise UserError(f"--model {name}: it has no {path}; name a revision that exported one")
        try:
            there.get(path.as_posix(), str(folder / path), recursive=True)
        except Exception:  # whatever a remote's library raises
            raise UserError(
                f"--model {name}: its {path} is neither in DVC's cache nor on a remote; `dvc push` "
                "where it was made, or `dvc exp push origin NAME` for an experiment"
            ) from None
    values = params.read(folder / paths.PARAMS)
    with there.open(LOCK) as file:
        locked = yaml.safe_load(file)["stages"]
    lock.check(
        f"--model {name}",
        locked,
        values,
        "export",
        "`dvc repro export` it there, or `dvc exp apply` it and `dvc repro export`",
    )
    return folder
