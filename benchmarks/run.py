"""Where each second of `make run` goes: `python -m benchmarks.run`.

Runs the stages one after the other in a clone of the last commit, with caches that are empty as on
a new machine. In each process a thread looks at what the main thread is at, every few
milliseconds: it imports, it decodes images or waits for the threads that do, it writes files, or it
computes. Starting and ending Python counts as importing. Then `make run`'s commands run in another
such clone. Writes benchmarks/run.json.
"""

import argparse
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import psutil
import yaml

from benchmarks import clone
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.project.cli import run

LOOKS = 0.005  # seconds between two
IMPORTS, DECODES, WRITES, COMPUTES = KINDS = ("imports", "decoding", "writing", "computing")
# By the file of a frame, and how its function's name begins.
PLACES = (
    (IMPORTS, "importlib._bootstrap", ""),
    (DECODES, "thaw/images/", ""),
    (DECODES, "thaw/project/snapshots", ""),
    (WRITES, "thaw/project/files", "replacing"),
    (WRITES, "thaw/project/files", "sync"),
    (WRITES, "thaw/project/files", "_sync"),
    (WRITES, "thaw/project/files", "reserve"),
    (WRITES, "thaw/project/files", "write_"),
    (WRITES, "thaw/models/weights", "save"),
    (WRITES, "thaw/models/lite_file", "save"),
    (WRITES, "thaw/features/store", ""),
    (WRITES, "thaw/export/formats", "_write"),
    (WRITES, "thaw/figures/style", "save"),
)
COMMANDS = (
    ("tools.params",),
    ("dvc", "repro"),
    ("dvc", "plots", "show", "--out", "dvc_plots"),
    ("tools.summary",),
)


def kind(frame: FrameType | None) -> str:
    """Return what a thread is at, by the innermost of its frames that tells, but first if it
    imports."""
    found = []
    while frame:
        code = frame.f_code
        found += [
            name
            for name, file, function in PLACES
            if file in code.co_filename and code.co_name.startswith(function)
        ]
        frame = frame.f_back
    return IMPORTS if IMPORTS in found else (found or [COMPUTES])[0]


def look(seconds: Counter, main: int) -> None:
    """Add to `seconds` what the main thread is at, for ever."""
    last = time.perf_counter()
    while True:
        time.sleep(LOOKS)
        now = time.perf_counter()
        seconds[kind(sys._current_frames().get(main))] += now - last
        last = now


def stage(name: str, file: Path) -> None:
    """Run a stage in this process, and write the seconds of each kind as JSON."""
    seconds = Counter({IMPORTS: time.time() - psutil.Process().create_time()})
    threading.Thread(target=look, args=(seconds, threading.get_ident()), daemon=True).start()
    runpy.run_module(f"stages.{name}", run_name="__main__", alter_sys=True)
    file.write_text(json.dumps(seconds), encoding="utf-8")


def seconds_of(name: str, folder: Path, environment: dict[str, str]) -> dict[str, float]:
    """Run a stage in a clone; return its seconds by kind, and "all" of its process."""
    file, began = folder.parent / "seconds.json", time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.run", "--stage", name, str(file)]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - began
    seconds = dict.fromkeys(KINDS, 0.0) | json.loads(file.read_text(encoding="utf-8"))
    seconds[IMPORTS] += whole - sum(seconds.values())  # Python's end
    return {name: round(value, 2) for name, value in (seconds | {"all": whole}).items()}


def fresh(scratch: Path, name: str) -> tuple[Path, dict[str, str]]:
    """Return a new clone, and an environment with an empty cache."""
    folder = scratch / name / "thaw"
    clone.make(folder, {})
    return folder, os.environ | {"XDG_CACHE_HOME": str(scratch / name / "cache")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        sys.argv = sys.argv[:1]
        return stage(options.stage[0], Path(options.stage[1]))
    with tempfile.TemporaryDirectory() as scratch:
        folder, environment = fresh(Path(scratch), "stages")
        names = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        stages = {name: seconds_of(name, folder, environment) for name in names}
        folder, environment = fresh(Path(scratch), "whole")
        began = time.perf_counter()
        for module, *arguments in COMMANDS:
            command = [sys.executable, "-m", module, *arguments]
            subprocess.run(
                command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
            )
        whole = time.perf_counter() - began
    save("run", {"stages": stages, "seconds": round(whole, 1)})
    print(block("run"))


if __name__ == "__main__":
    run(main)
