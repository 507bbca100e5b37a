"""The weights in a `.keras` file, and nothing else of it.

It is a zip with the network's layers in config.json and their weights in model.weights.h5. Keras
itself would build that network: whatever size it declares, and with what code its layers hold.
"""

import json
import re
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import h5py

from thaw.models import hdf5_file

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_CONFIG = 1 << 24  # bytes; the largest network of the registry has about 2 MB
MOST_GROWTH = 10  # times the file's own size; weights hardly pack
FREE = 1 << 26  # bytes that any file may grow to
PIECE = 1 << 20  # bytes


@contextmanager
def opened(path: Path) -> Iterator[list[tuple[str, h5py.Dataset]]]:
    """Give the values of all layers, in order, as (layer's name, values), not yet read.

    Raises ValueError, KeyError or OSError when it is no such file, or grows beyond its limits.
    """
    most = max(FREE, MOST_GROWTH * path.stat().st_size)
    with zipfile.ZipFile(path) as archive, tempfile.NamedTemporaryFile(suffix=".h5") as unpacked:
        with archive.open(CONFIG) as member:
            text = member.read(MOST_CONFIG + 1)
        if len(text) > MOST_CONFIG:
            raise ValueError(f"{CONFIG} has more than {MOST_CONFIG} bytes")
        with archive.open(WEIGHTS) as member:
            _copy(member, unpacked, most)
        with hdf5_file.opened(Path(unpacked.name)) as file:
            yield list(_values(file, json.loads(text)))


def _copy(source: BinaryIO, target: BinaryIO, most: int) -> None:
    while piece := source.read(PIECE):
        if target.tell() + len(piece) > most:
            raise ValueError(f"{WEIGHTS} unpacks to more than {most} bytes")
        target.write(piece)
    target.flush()


def _values(file: h5py.File, config: dict) -> Iterator[tuple[str, h5py.Dataset]]:
    for name, place in _layers(config, ""):
        values = file.get(f"{place}/vars", {})
        for number in sorted(values, key=int):
            yield name, values[number]


def _layers(config: dict, above: str) -> Iterator[tuple[str, str]]:
    """Yield (name, group in the file) of each layer; Keras calls groups by their layers' classes.

    The second of a class ends with _1, and so on.
    """
    seen = Counter()
    for layer in config["config"]["layers"]:
        kind = _group(layer["class_name"])
        place = f"{above}/layers/{kind}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        if "layers" in layer["config"]:
            yield from _layers(layer, place)
        else:
            yield layer["config"]["name"], place


def _group(kind: str) -> str:
    """Return how Keras calls the group of a class: Conv2D is conv2d, ReLU re_lu."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
