"""The classifier that another revision of this repository exported."""

from contextlib import suppress
from pathlib import Path

from thaw.project import params, paths
from thaw.project.errors import UserError
from tools.revisions import dvc_lock, dvc_repo, run_revision


def bring(name: str, folder: Path) -> Path:
    """Copy params.yaml and the export of a branch, tag, commit or experiment into `folder`.

    Returns `folder`, where they lie as in the project. The export comes through DVC's cache, so
    that a remote is asked for it once. Raises UserError when there is no such revision, or it has
    no such file, or that is out of reach or of another run.
    """
    commit = None
    with suppress(UserError):
        commit = run_revision.resolve(name)
    if not commit:
        raise UserError(
            f"--model {name}: neither head, fine_tuned, a path that is there, nor a branch, tag, "
            "commit or experiment of this repository"
        )
    # No remote, or a locked one: the cache may have it.
    with suppress(Exception), dvc_repo.opened() as repo:
        repo.fetch([paths.EXPORT.as_posix()], revs=[commit], workspace=False)
    with dvc_repo.at(commit) as there:
        for path in (paths.PARAMS, paths.EXPORT, dvc_lock.FILE):
            try:
                run_revision.copy(there, path, folder)
            except FileNotFoundError:
                raise UserError(
                    f"--model {name}: it has no {path}; name a revision that exported one"
                ) from None
            except run_revision.OutOfReach:
                raise UserError(
                    f"--model {name}: its {path} is neither in DVC's cache nor on a remote; `dvc "
                    "push` where it was made, or `dvc exp push origin NAME` for an experiment"
                ) from None
    dvc_lock.check(
        f"--model {name}",
        dvc_lock.read(folder / dvc_lock.FILE),
        params.read(folder / paths.PARAMS),
        "export",
        "`dvc repro export` it there, or `dvc exp apply` it and `dvc repro export`",
    )
    return folder
