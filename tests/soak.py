"""Kill `dvc repro` again and again at random moments: `python -m tests.soak --kills 100`.

The digits pass a small pipeline in a repository of its own. In turn all processes, DVC alone and
the stage alone are killed (SIGKILL), and `dvc repro` is run again, as a user would. What it leaves
at last must be what an undisturbed run left, byte for byte: in dvc.lock and on the disk.
"""

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from tests.conftest import set_params
from tests.repository import call, make_repository

SMALL = {
    "data": {"source": "digits"},
    "train_head": {"epochs": 6, "batch_size": 32, "learning_rate": 0.01},
    "fine_tune": {"epochs": 4, "batch_size": 32, "unfreeze": 5},
    "export": {"formats": ["keras"]},
    "figures": {"images": 5},
    "runtime": {"batch_size": 32, "store": "default"},
}
WHOM = ("all", "dvc", "stage")
LIVES = 1 / 10  # of the time of an undisturbed run, on average, until a kill
BUSY = 120  # seconds that a stage may take to end after DVC
TIMES = {"models/export", "metrics/export.json"}  # they differ at every run, as they hold times
REMEDIES = {  # of docs/internals.md, by what DVC says
    r"dvc\.lock' (is invalid|validation failed)": "git restore dvc.lock || rm dvc.lock",
    r"RWLock-file '\.dvc/tmp/rwlock'": "rm .dvc/tmp/rwlock",
}


def make(folder: Path) -> Path:
    """Make a repository of the small pipeline."""
    make_repository(folder)
    shutil.rmtree(folder / "images")
    (folder / "images").mkdir()
    set_params(folder / "params.yaml", SMALL)
    call("git", "commit", "--quiet", "--all", "--message", "digits", cwd=folder)
    return folder


def start(folder: Path) -> tuple[subprocess.Popen, Path]:
    """Begin `dvc repro` with caches of its own; return it and its log, which no other writes to."""
    own = {"XDG_CACHE_HOME": str(folder.with_name(f"{folder.name}-cache"))}
    handle, log = tempfile.mkstemp(".log", dir=folder.parent)
    with open(handle, "w") as file:
        started = subprocess.Popen(
            ["dvc", "repro"], cwd=folder, env={**os.environ, **own}, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    return started, Path(log)


def repro(folder: Path) -> None:
    """Run `dvc repro` until it ends well, as a user does after all kinds of kills."""
    end = time.monotonic() + BUSY
    while True:
        dvc, log = start(folder)
        if dvc.wait() == 0:
            return
        assert time.monotonic() < end, log.read_text()
        recover(folder, log.read_text())


def recover(folder: Path, said: str) -> str:
    """Do what a refusal of DVC or of a stage asks for, and return it.

    Raises AssertionError for any other refusal.
    """
    for pattern, remedy in REMEDIES.items():
        if re.search(pattern, said):
            call("sh", "-c", remedy, cwd=folder)
            return remedy
    assert "is at work in this folder" in said, said
    time.sleep(1)
    return "a stage of a killed DVC was waited for"


def kill(dvc: subprocess.Popen, whom: str) -> str | None:
    """Kill; return which stage ran, or None for none."""
    stages = {}
    for each in psutil.Process(dvc.pid).children(recursive=True):
        with suppress(psutil.Error):  # it may end while it is looked at
            name = each.cmdline()[-1] if each.cmdline() else ""
            if name.startswith("stages."):
                stages[name.removeprefix("stages.")] = each
    if whom == "all" or (whom == "stage" and not stages):
        os.killpg(dvc.pid, signal.SIGKILL)
    elif whom == "dvc":
        dvc.kill()
    else:
        with suppress(psutil.NoSuchProcess):
            next(iter(stages.values())).kill()
    dvc.wait()
    return next(iter(stages), None)


def digests(folder: Path) -> dict[str, str]:
    """Return the digests that dvc.lock has of all outputs, and those of the files on the disk."""
    stages = YAML(typ="safe").load(folder / "dvc.lock")["stages"].values()
    outs = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
    outs = {path: digest for path, digest in outs.items() if path not in TIMES}
    files = [file for out in outs for file in (sorted((folder / out).rglob("*")) or [folder / out])]
    on_disk = {
        f"file {file.relative_to(folder)}": hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file()
    }
    return outs | on_disk


def check(folder: Path, whole: dict[str, str]) -> None:
    """Hold what lies there against the undisturbed run's, and look for what was left over."""
    found = digests(folder)
    assert {name for name in {*found, *whole} if found.get(name) != whole.get(name)} == set()
    assert [path for path in folder.glob("*/partial-*") if ".dvc" not in path.parts] == []
    trainings = folder.with_name(f"{folder.name}-cache") / "thaw/checkpoints"
    assert list(trainings.iterdir()) == []


def begin_anew(folder: Path) -> None:
    call("git", "reset", "--quiet", "--hard", cwd=folder)
    call("git", "clean", "-dfxq", cwd=folder)
    (folder / "images").mkdir(exist_ok=True)
    shutil.rmtree(folder.with_name(f"{folder.name}-cache"), ignore_errors=True)


def soak(place: Path, kills: int, seed: int) -> Counter:
    """Kill so often; return how often each stage was hit, what had to be done, and whole runs."""
    undisturbed, folder = make(place / "undisturbed"), make(place / "killed")
    began = time.monotonic()
    repro(undisturbed)
    seconds = time.monotonic() - began
    whole, chosen, counts = digests(undisturbed), random.Random(seed), Counter()
    print(f"an undisturbed run took {seconds:.0f} s", flush=True)
    while counts["kills"] < kills:
        dvc, log = start(folder)
        end = time.monotonic() + chosen.expovariate(1 / (LIVES * seconds))
        while dvc.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if dvc.poll() is None:
            hit = kill(dvc, WHOM[counts["kills"] % len(WHOM)])
            counts.update(["kills", hit or "between stages"])
        elif dvc.returncode:
            counts[recover(folder, log.read_text())] += 1
        else:
            counts["whole runs"] += 1
            check(folder, whole)
            begin_anew(folder)
    repro(folder)
    check(folder, whole)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        began = time.monotonic()
        counts = soak(Path(place), options.kills, options.seed)
        minutes = (time.monotonic() - began) / 60
    print(f"the same bytes after {options.kills} kills, in {minutes:.0f} minutes: {dict(counts)}")


if __name__ == "__main__":
    main()
