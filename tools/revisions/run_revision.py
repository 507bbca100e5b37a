"""What a run left, in the workspace or at another revision of this repository."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from dvc.api import DVCFileSystem
from dvc.scm import SCMError, resolve_rev

from thaw.evaluation.run_result import RunResult
from thaw.project import files, params, paths
from thaw.project.errors import UserError
from thaw.training import history
from tools.revisions import dvc_lock, dvc_repo

# What is small and kept in Git; predictions and environment are DVC's, and may be out of reach.
IN_GIT = (
    paths.PARAMS,
    dvc_lock.FILE,
    paths.TEST,
    paths.SPLIT_REPORT,
    paths.EVALUATION / "confusion.csv",
    *(log / "plots/metrics" for log in (paths.HEAD_LOG, paths.FINE_TUNE_LOG)),
)


class Revision(NamedTuple):
    """The files of a run below `folder`, at the same places as in the project.

    `commit`: its SHA, None for the workspace. `lock`: what dvc.lock says of each stage's last run.
    """

    name: str
    commit: str | None
    folder: Path
    lock: dict[str, dict]

    @property
    def params(self) -> dict[str, object]:
        """All params, {"section.key": value}."""
        return flat(params.read(self.folder / paths.PARAMS))

    @property
    def test(self) -> dict[str, dict[str, float]]:
        """The test scores of head and fine_tuned, and the gain, as `metrics.compare` gave them."""
        return RunResult(self.folder).test_scores

    @property
    def counts(self) -> pd.DataFrame:
        """How many images each class has in train, validation and test, and excluded."""
        return pd.DataFrame(RunResult(self.folder).split_report["classes"]).T

    @property
    def test_set(self) -> str | None:
        """A digest of the test images and their labels; None of a run of an earlier version."""
        return RunResult(self.folder).split_report.get("test_set")

    @property
    def corrections(self) -> dict[str, int]:
        """How many images a person relabelled, by split, and left out; {} of an earlier version."""
        report = RunResult(self.folder).split_report
        relabelled = {
            f"relabelled in {name}": n for name, n in report.get("relabelled", {}).items()
        }
        return relabelled | {"left out": report["images"].get("left_out", 0)}

    @property
    def confusion(self) -> pd.DataFrame:
        """Of each test image, actual and predicted (by the fine-tuned network), as text."""
        return read_table(self.folder / paths.EVALUATION / "confusion.csv")

    @property
    def logs(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The learning curves of head and fine-tuning, as `history.read` gives them."""
        return tuple(
            history.read(self.folder / log) for log in (paths.HEAD_LOG, paths.FINE_TUNE_LOG)
        )

    @property
    def predictions(self) -> pd.DataFrame | None:
        """Of each test image, path, label, head and fine_tuned, as text; None out of reach.

        Those of another run, which lie where these should, do not count.
        """
        file = self._of_this_run(paths.PREDICTIONS)
        return file and read_table(file, ["path", "label", "head", "fine_tuned"])

    @property
    def environment(self) -> dict | None:
        """What fine_tune ran on, as `software.environment` gives it; None out of reach."""
        file = self._of_this_run(paths.ENVIRONMENT)
        return file and json.loads(file.read_text(encoding="utf-8"))

    def _of_this_run(self, path: Path) -> Path | None:
        file = self.folder / path
        return file if file.is_file() and _md5(file) == self.lock_digest(path) else None

    def lock_digest(self, path: Path) -> str | None:
        """Return the MD5 digest that dvc.lock has of an output, None for none."""
        for stage in self.lock.values():
            for out in stage.get("outs", ()):
                if out["path"] == path.as_posix():
                    return out["md5"]
        return None


def workspace() -> Revision:
    """Return the workspace. Raises UserError when nothing was run in it, or not what it has now."""
    for path in IN_GIT:
        if not path.exists():
            raise UserError(f"{path} is missing; `dvc repro` makes it")
    found = Revision("workspace", None, Path(), dvc_lock.read())
    _check(found, "run `dvc repro`")
    return found


def at(name: str, folder: Path) -> Revision:
    """Copy what a branch, tag, commit or experiment has into `folder`.

    The predictions come from DVC's cache or a remote, if they are there. Raises UserError when
    there is no such revision, or when nothing was run in it, or something else than it has.
    """
    commit = resolve(name)
    if not commit:
        raise UserError(
            f"--against {name}: no such branch, tag, commit or experiment; `git fetch` may bring it"
        )
    with dvc_repo.at(commit) as there:
        for path in IN_GIT:
            try:
                copy(there, path, folder)
            except (FileNotFoundError, OutOfReach):
                raise UserError(
                    f"--against {name}: it has no {path}; run `dvc repro` there and commit what it "
                    "changes"
                ) from None
        found = Revision(name, commit, folder, dvc_lock.read(folder / dvc_lock.FILE))
        _check(found, "run `dvc repro` there and commit what it changes")
        for path in (paths.PREDICTIONS, paths.ENVIRONMENT):
            with suppress(FileNotFoundError, OutOfReach):
                copy(there, path, folder)
    return found


class OutOfReach(Exception):
    """Neither DVC's cache nor a remote has what a revision names."""


def resolve(name: str) -> str | None:
    """Return the SHA of a branch, tag, commit or experiment of this repository; None for none.

    Raises UserError where there is no repository.
    """
    with dvc_repo.opened() as repo:
        try:
            return resolve_rev(repo.scm, name)
        except SCMError:
            return None


def copy(there: DVCFileSystem, path: Path, folder: Path) -> None:
    """Copy a file or folder of a revision, of Git or of DVC, to its place below `folder`.

    Raises FileNotFoundError when the revision has none, OutOfReach when it cannot be had.
    """
    if not there.exists(path.as_posix()):
        raise FileNotFoundError(path)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    try:
        there.get(path.as_posix(), str(folder / path), recursive=True)
    except Exception as error:  # whatever a remote's library raises, or one that is not installed
        files.remove(folder / path)
        raise OutOfReach(path) from error


def _check(found: Revision, hint: str) -> None:
    """Raise UserError when the scores are of other params or another run than is recorded."""
    values = params.read(found.folder / paths.PARAMS)
    dvc_lock.check(found.name, found.lock, values, "evaluate", hint)
    digest = found.lock_digest(paths.TEST)
    if digest not in (None, _md5(found.folder / paths.TEST)):
        raise UserError(f"{found.name}: {paths.TEST} is not that of the last run", hint=hint)


def _md5(file: Path) -> str:
    """Return the digest that DVC has of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "md5").hexdigest()


def read_table(file: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a CSV table, or some of its columns, as text; a class may be called NA."""
    return files.read_csv(file, dtype=str, keep_default_na=False, usecols=columns)


def flat(values: dict, above: str = "") -> dict[str, object]:
    """Return nested dicts as one, {"a.b": value}."""
    found = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


def changed_code(commit: str) -> list[str]:
    """Return the files of the pipeline that differ between a commit and the workspace."""
    code = ("stages", "thaw", "dvc.yaml", "requirements.txt")
    command = ["git", "diff", "--name-only", "--relative", commit, "--", *code]
    return subprocess.check_output(command, encoding="utf-8").splitlines()
