"""The software and the processor that decide the last digits of a result."""

import hashlib
import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np

LIBRARY = Path(__file__).parents[1]
PACKAGES = ("keras", "numpy", "openvino", "pillow", "scikit-learn", "scipy", "tensorflow")


def identity(places: Iterable[str], packages: Sequence[str]) -> dict:
    """Return the digest of our code, the versions of packages, and the processor's instructions.

    `places`: files and packages of thaw/. Results differ in the last digits with the instructions.
    """
    paths = [LIBRARY / place for place in places]
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) or [path])]
    code = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return {"code": code.hexdigest(), "instructions": instructions(), **versions(packages)}


def environment() -> dict:
    """Return what a run was computed by here: instructions, versions, and cores for its threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "instructions": instructions(),
        "threads": cores,
        "versions": {"python": platform.python_version(), **versions(PACKAGES)},
    }


def instructions() -> list[str]:
    """Return the sets of instructions that the processor has, and the limit of oneDNN's or ""."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return [*found, os.environ.get("ONEDNN_MAX_CPU_ISA", "")]


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
