"""The software and the processor that decide the last digits of a result."""

import functools
import hashlib
import os
import platform
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np

LIBRARY = Path(__file__).parents[1]
# Of TensorFlow, for any number of cores: it splits sums among threads, so another number of them
# gives other last digits. docs/internals.md says what that costs.
THREADS = 8
# Of others, that compute an image's numbers: another version may differ in the last bit.
PACKAGES = ("keras", "keras-hub", "numpy", "openvino", "pillow", "tensorflow")
FURTHER = ("scikit-learn", "scipy")  # that scores, figures or splits are made by
CPUS = Path("/proc/cpuinfo")  # of Linux
VECTORS = ("amx", "asimd", "avx", "bf16", "f16c", "fma", "i8mm", "sse", "sve")  # how flags begin


def identity(places: Iterable[str]) -> dict:
    """Return the digest of our code, the versions of PACKAGES, and the processor's instructions.

    `places`: files and packages of thaw/. Results differ in the last digits with the instructions.
    """
    paths = [LIBRARY / place for place in places]
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) or [path])]
    code = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return {"code": code.hexdigest(), "instructions": instructions(), **versions(PACKAGES)}


def environment(device: str | None = None, devices: int = 1) -> dict:
    """Return what a run was computed by here: instructions, device, versions and threads.

    device: the name of TensorFlow's, None where it is not known; devices: how many of them.
    """
    several = {"devices": devices} if devices > 1 else {}
    return several | {
        "device": device,
        "instructions": instructions(),
        "threads": THREADS,
        "versions": {"python": platform.python_version(), **versions((*PACKAGES, *FURTHER))},
    }


def instructions() -> list[str]:
    """Return the sets of instructions that the processor has, and the limit of oneDNN's or ""."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # left out where empty
    return [*found, *flags(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")]


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


@functools.cache
def flags() -> list[str]:
    """Return the vector instructions that Linux names, [] elsewhere.

    NumPy does not know all: AMX and bfloat16 decide what OpenVINO computes, too.
    """
    with suppress(OSError):
        lines = CPUS.read_text(encoding="utf-8")
        if found := re.search(r"^(?:flags|Features)\s*:(.*)$", lines, re.MULTILINE):
            return sorted(each for each in found[1].split() if each.startswith(VECTORS))
    return []
