"""Time contestants side by side, and write down what was measured, and on what."""

import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
from tqdm import tqdm

from thaw.project import files

FOLDER = Path("benchmarks")
CODE = ("*.py", "dvc.yaml", "params.yaml", "requirements.txt")
GIT = {"check": True, "capture_output": True, "text": True}
CPUINFO = Path("/proc/cpuinfo")  # Linux has it


def alternate(contestants: dict[str, Callable[[], object]], repeats: int) -> pd.DataFrame:
    """Call each contestant in turn, `repeats` times; return seconds, a column for each.

    They alternate because a shared machine is now fast and now slow. One round before that is not
    counted: it fills the disk's cache.
    """
    rounds = []
    for number in tqdm(range(repeats + 1), desc="rounds", disable=None):
        seconds = {}
        for name, call in contestants.items():
            began = time.perf_counter()
            call()
            seconds[name] = time.perf_counter() - began
        if number:
            rounds.append(seconds)
    return pd.DataFrame(rounds)


def rates(seconds: pd.DataFrame, images: int) -> dict[str, dict[str, float]]:
    """Return median seconds, images per second and a ratio for each contestant.

    The ratio is the median over rounds of its seconds divided by the first contestant's in the same
    round: above 1 the first is faster.
    """
    first = seconds.columns[0]
    return {
        name: {
            "seconds": round(statistics.median(seconds[name]), 3),
            "images_per_second": round(images / statistics.median(seconds[name]), 1),
            "ratio": round(statistics.median(seconds[name] / seconds[first]), 2),
        }
        for name in seconds
    }


def command(program: str, arguments: list[str]) -> str:
    """Return the command line that is running, with the names of files instead of their places."""
    words = [Path(word).name if Path(word).exists() else word for word in arguments]
    return shlex.join(["python", "-m", f"benchmarks.{Path(program).stem}", *words])


def commit() -> str:
    """Return the short hash of the last commit, with "-dirty" where other code was measured."""
    name = subprocess.run(["git", "rev-parse", "--short", "HEAD"], **GIT).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "--", *CODE], **GIT).stdout
    return f"{name}-dirty" if changed else name


def processor(cpuinfo: Path = CPUINFO) -> str:
    """Return the processor's model name with its widest vectors, such as "AMD EPYC, AVX-512"."""
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    fields = dict(
        re.findall(r"^(model name|flags)\s*: (.*)$", cpuinfo.read_text(encoding="utf-8"), re.M)
    )
    flags = fields.get("flags", "").split()
    vectors = [name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags]
    return ", ".join([fields.get("model name", platform.machine()), *vectors[:1]])


def save(name: str, results: dict | list, **more: object) -> None:
    """Write benchmarks/NAME.json: what was run, on what, how long it took, `more` and `results`."""
    seconds = time.time() - psutil.Process().create_time()
    measured = {
        "command": command(sys.argv[0], sys.argv[1:]),
        "commit": commit(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "seconds": round(seconds),
        **more,
        "results": results,
    }
    with files.replacing(FOLDER / f"{name}.json") as partial:
        partial.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
