"""The software and the processor that decide the last digits of a result."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np

LIBRARY = Path(__file__).parents[1]


def identity(places: Iterable[str], packages: Sequence[str]) -> dict:
    """Return the digest of our code, the versions of packages, and the processor's instructions.

    `places`: files and packages of thaw/. Results differ in the last digits with the instructions.
    """
    paths = [LIBRARY / place for place in places]
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) or [path])]
    code = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    versions = {}
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    instructions = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    instructions = [*instructions, os.environ.get("ONEDNN_MAX_CPU_ISA", "")]
    return {"code": code.hexdigest(), "instructions": instructions, **versions}
