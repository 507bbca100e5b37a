"""What a run left, in the workspace or at another revision of this repository."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.scm import SCMError

from stages.lib import params, paths, training
from stages.lib.errors import UserError

# What is small and kept in Git; predictions are DVC's, and may be out of reach.
IN_GIT = (
    paths.PARAMS,
    paths.TEST,
    paths.SPLIT_REPORT,
    paths.EVALUATION / "confusion.csv",
    *(log / "plots/metrics" for log in (paths.HEAD_LOG, paths.FINE_TUNE_LOG)),
)


class Revision(NamedTuple):
    """The files of a run below `folder`, at the same places as in the project."""

    name: str
    folder: Path

    @property
    def params(self) -> dict[str, object]:
        """All params, {"section.key": value}."""
        return flat(params.read(self.folder / paths.PARAMS))

    @property
    def test(self) -> dict[str, dict[str, float]]:
        return json.loads((self.folder / paths.TEST).read_text())

    @property
    def counts(self) -> pd.DataFrame:
        """How many pictures each class has in train, validation and test, and set aside."""
        report = json.loads((self.folder / paths.SPLIT_REPORT).read_text())
        return pd.DataFrame(report["classes"]).T

    @property
    def confusion(self) -> pd.DataFrame:
        """Of each test picture, actual and predicted (by the fine-tuned network), as text."""
        return pd.read_csv(self.folder / paths.EVALUATION / "confusion.csv", dtype=str)

    @property
    def logs(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The learning curves of head and fine-tuning, as `training.read_log` gives them."""
        return tuple(
            training.read_log(self.folder / log) for log in (paths.HEAD_LOG, paths.FINE_TUNE_LOG)
        )

    @property
    def predictions(self) -> pd.DataFrame | None:
        """Of each test picture, path, label, head and fine_tuned, as text; None out of reach."""
        file = self.folder / paths.PREDICTIONS
        return pd.read_csv(file, dtype=str) if file.is_file() else None


def workspace() -> Revision:
    """Return the workspace. Raises UserError when nothing was run in it."""
    for path in IN_GIT:
        if not path.exists():
            raise UserError(f"{path} is missing; `dvc repro` makes it")
    return Revision("workspace", Path())


def at(name: str, folder: Path) -> Revision:
    """Copy what a branch, tag, commit or experiment has into `folder`.

    The predictions come from DVC's cache or a remote, if they are there. Raises UserError when
    there is no such revision, or when nothing was run in it.
    """
    try:
        files = DVCFileSystem(rev=name)
        for path in IN_GIT:
            _copy(files, path, folder)
    except SCMError:
        raise UserError(
            f"--against {name}: no such branch, tag, commit or experiment; `git fetch` may bring it"
        ) from None
    except FileNotFoundError:
        raise UserError(
            f"--against {name}: it has no {path}; run `dvc repro` there and commit what it changes"
        ) from None
    try:
        _copy(files, paths.PREDICTIONS, folder)
    except (DvcException, OSError):  # not in the cache, and no remote has it or can be reached
        (folder / paths.PREDICTIONS).unlink(missing_ok=True)
    return Revision(name, folder)


def _copy(files: DVCFileSystem, path: Path, folder: Path) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    files.get(path.as_posix(), str(folder / path), recursive=files.isdir(path.as_posix()))


def flat(values: dict, above: str = "") -> dict[str, object]:
    """Return nested dicts as one, {"a.b": value}."""
    found = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


def changed_code(name: str) -> list[str]:
    """Return the files of the pipeline that differ between a revision and the workspace."""
    command = ["git", "diff", "--name-only", name, "--", "stages", "dvc.yaml", "requirements.txt"]
    return subprocess.check_output(command, text=True).splitlines()
