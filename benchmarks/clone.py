"""A clone of the last commit, to run the pipeline in as a user does."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from thaw.project.errors import UserError
from tools import recipe


class Cost(NamedTuple):
    """What a command took: seconds, the peak memory in MB of its largest process, and the seconds
    on a processor of all its processes, which hold on a busy machine, too.
    """

    seconds: float
    megabytes: float
    processor_seconds: float


def make(folder: Path, changes: dict[str, dict]) -> None:
    """Clone the last commit into `folder` and change params there: {section: {key: value}}."""
    subprocess.run(["git", "clone", "--quiet", ".", folder], check=True)
    change(folder, changes)


def change(folder: Path, changes: dict[str, dict]) -> None:
    file = folder / "params.yaml"
    file.write_text(recipe.apply(file.read_text(encoding="utf-8"), changes), encoding="utf-8")


def measure(folder: Path, *arguments: str, cache: Path | None = None) -> Cost:
    """Run `python -m ARGUMENTS` there, with another cache folder if given.

    Raises UserError when it fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)} if cache else None,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise UserError(f"`python -m {' '.join(arguments)}` failed, see above")
    seconds = time.perf_counter() - began
    return Cost(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def repro(folder: Path, targets: Sequence[str] = ()) -> float:
    """Run `dvc repro` there; return its seconds."""
    return measure(folder, "dvc", "repro", "--quiet", *targets).seconds
