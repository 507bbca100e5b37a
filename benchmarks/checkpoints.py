"""What checkpoints cost, and what a killed run repeats:
`python -m benchmarks.checkpoints FOLDER_OR_ARCHIVE`.

Prepares a clone of the last commit at 160 px with mirrored images. There the stage fine_tune runs
with checkpoints and without, each time as a process, in turn. The activations of the frozen layers
are in the feature store then. At last a run is killed after an epoch, and run again. Writes
benchmarks/checkpoints.json.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks import clone, recipes
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.project.cli import run
from thaw.project.errors import UserError

KILLED_AFTER = 3  # epochs
HOW = "with", "without"  # and the other way round, as the first of two may be slower
TIMED = ("__init__", "on_epoch_begin", "on_epoch_end", "_write")  # the last beside the next epoch


def train(checkpoints_too: bool) -> None:
    """Run the stage here; print the seconds that checkpoints took, and the largest one's bytes.

    Those of the thread that writes are counted as if training had waited for it.
    """
    from stages import fine_tune
    from thaw.training import checkpoints

    taken, sizes = [], [0]

    def timed(call):
        def of(*arguments):
            began = time.perf_counter()
            result = call(*arguments)
            taken.append(time.perf_counter() - began)
            sizes.extend(each.stat().st_size for each in place.parent.glob("*.npz"))
            return result

        return of

    place = checkpoints.place("fine_tune", [], [])
    if checkpoints_too:
        checkpoints.place = timed(checkpoints.place)
        for name in TIMED:
            setattr(checkpoints.Saver, name, timed(getattr(checkpoints.Saver, name)))
    else:
        checkpoints.place = lambda *_: place
        checkpoints.Saver.on_epoch_end = lambda *_: None
    fine_tune.main()
    print(json.dumps({"seconds": sum(taken), "bytes": max(sizes)}))


def command(how: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.checkpoints", "--train", how]


def timed_run(folder: Path, how: str, environment: dict[str, str]) -> dict[str, float]:
    """Return what `train` prints in the clone, with the seconds of the whole process."""
    began = time.perf_counter()
    ended = subprocess.run(
        command(how), cwd=folder, env=environment, capture_output=True, encoding="utf-8"
    )
    if ended.returncode:
        raise UserError(f"fine_tune failed: {ended.stderr.strip()[-300:]}")
    whole = time.perf_counter() - began
    return {**json.loads(ended.stdout.splitlines()[-1]), "whole": whole}


def resumed_after(folder: Path, environment: dict[str, str]) -> int:
    """Kill a run when its epoch KILLED_AFTER has ended; return the epoch that the next began at."""
    process = subprocess.Popen(
        command("with"), cwd=folder, env=environment, stdout=subprocess.PIPE, encoding="utf-8"
    )
    for line in process.stdout:
        if line.startswith(f"epoch {KILLED_AFTER}/"):
            process.kill()
    process.wait()
    again = subprocess.run(
        command("with"), cwd=folder, env=environment, capture_output=True, encoding="utf-8"
    )
    found = re.search("goes on after its epoch ([0-9]+)", again.stdout)
    return int(found[1]) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--train", choices=["with", "without"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train == "with")
        return
    if options.source is None:
        raise UserError("give a folder or an archive of images")
    with unpacked(options.source) as images, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "clone"
        store = {"runtime": {"store": str(Path(scratch) / "store"), "store_gigabytes": 50.0}}
        clone.make(folder, recipes.DEFAULT | {"data": {"source": str(images.resolve())}} | store)
        clone.repro(folder, ["train_head"])
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(scratch) / "cache")}
        timed_run(folder, "with", environment)  # fills the store
        rounds = [
            {how: timed_run(folder, how, environment) for how in (HOW, HOW[::-1])[number % 2]}
            for number in tqdm(range(options.rounds), desc="rounds", disable=None)
        ]
        went_on = resumed_after(folder, environment)
    median = statistics.median
    results = {
        "with": round(median(each["with"]["whole"] for each in rounds), 1),
        "without": round(median(each["without"]["whole"] for each in rounds), 1),
        "ratio": round(
            median(each["with"]["whole"] / each["without"]["whole"] for each in rounds), 3
        ),
        "fraction": round(
            median(each["with"]["seconds"] / each["with"]["whole"] for each in rounds), 4
        ),
        "megabytes": round(rounds[0]["with"]["bytes"] / 1e6, 1),
        "killed_after": KILLED_AFTER,
        "resumed_after": went_on,
    }
    save("checkpoints", results, rounds=options.rounds)
    print(block("checkpoints"))


if __name__ == "__main__":
    run(main)
