"""How long stages took on this machine, so that tools can say what a run will cost.

A line of JSON for each stage that ended well, in a file in the user's cache folder, which can be
lost at any time.
"""

import json
import math
import os
import time
from contextlib import suppress
from pathlib import Path

import psutil
from platformdirs import user_cache_path

from thaw.project import stage_run


def file() -> Path:
    return user_cache_path("thaw") / "timings.jsonl"


def record() -> None:
    """Note the seconds since this process began, if it is a stage that was run by `python -m`."""
    stage = stage_run.name()
    if stage is None:
        return
    seconds = round(time.time() - psutil.Process().create_time(), 2)
    with suppress(OSError):  # a full or read-only disk is no reason to fail
        file().parent.mkdir(parents=True, exist_ok=True)
        with file().open(
            "a", encoding="utf-8"
        ) as log:  # one write, so that lines of several processes stay whole
            row = {"stage": stage, "seconds": seconds, "folder": os.getcwd()}
            log.write(json.dumps(row) + "\n")


def last(runs: int = 5, folder: Path | None = None) -> dict[str, float]:
    """Return the seconds of the longest of each stage's last runs; {} where none is known.

    The longest, as a stage that finds its work done already is over in no time. `folder`: only
    those that were run there.
    """
    seconds: dict[str, list[float]] = {}
    with suppress(OSError):
        for line in file().read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
                row = json.loads(line)
                if folder and Path(row["folder"]) != folder:
                    continue
                if math.isfinite(row["seconds"]):
                    seconds.setdefault(row["stage"], []).append(float(row["seconds"]))
    return {stage: max(values[-runs:]) for stage, values in seconds.items()}
