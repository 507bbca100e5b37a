"""The forward pass through the frozen backbone, from batches of pixels to `.npy` files."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from stages.lib.engines import Forward
from stages.lib.store import Store

POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
LOOKED_UP = 64  # rows at a time in the store

# Of rows (int, any order), batches of pixels RGB 0..255 (k, h, w, 3), each with where its features
# belong: rows (k,), or rows and a view.
Batches = Callable[[np.ndarray], Iterable[tuple[np.ndarray | tuple, np.ndarray]]]


def pooled(backbone: keras.Model, maps: bool) -> keras.Model:
    """Return pixels -> {"avg": (n, c), "max": (n, c)[, "map": (n, h, w, c)]}, all float32."""
    outputs = {name: pool(name=name)(backbone.output) for name, pool in POOLINGS.items()}
    if maps:
        outputs["map"] = backbone.output
    return keras.Model(backbone.input, outputs)


def shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """Return the shape of one row of each of the model's outputs, sorted by name."""
    return {name: tuple(model.output[name].shape[1:]) for name in sorted(model.output)}


class Done(NamedTuple):
    """How many rows were found in the store, and how many computed."""

    found: int
    computed: int


def extract(
    forward: Forward,
    shapes: dict[str, tuple[int, ...]],
    keys: np.ndarray,
    batches: Batches,
    folder: Path,
    store: Store,
) -> Done:
    """Write NAME.npy into `folder` for each of `shapes`, float32 (*keys.shape, *shape).

    `keys`: of each row, bytes (n,), or of its views, (n, k). Rows whose keys are all in `store` are
    taken from there, the others are asked of `batches`, run and stored. Only the batch at hand is
    in memory.
    """
    folder.mkdir(parents=True)
    files = {
        name: _File(folder / f"{name}.npy", keys.shape, shape) for name, shape in shapes.items()
    }
    missing = np.array(_fill(files, keys, store), int)
    for place, pixels in batches(missing):
        outputs = forward(pixels)
        indices = np.arange(keys.size).reshape(keys.shape)[place]
        for name, file in files.items():
            file.write(indices, outputs[name])
        packed = [
            b"".join(outputs[name][row].tobytes() for name in files) for row in range(len(pixels))
        ]
        store.put(zip(keys[place], packed, strict=True))
    for file in files.values():
        file.close()
    return Done(len(keys) - len(missing), len(missing))


def _fill(files: dict[str, "_File"], keys: np.ndarray, store: Store) -> list[int]:
    """Write the rows that the store has; return the others."""
    missing, views = [], keys[:1].size
    size = sum(file.row.nbytes for file in files.values())
    for start in range(0, len(keys), LOOKED_UP):
        part = keys[start : start + LOOKED_UP].reshape(-1, views)
        values = store.get(part.ravel())
        for row, wanted in enumerate(part, start):
            found = [values.get(key, b"") for key in wanted]
            if any(len(value) != size for value in found):
                missing.append(row)
                continue
            for view, value in enumerate(found):
                _unpack(value, files, row * views + view)
    return missing


def _unpack(value: bytes, files: dict[str, "_File"], index: int) -> None:
    at = 0
    for file in files.values():
        part = np.frombuffer(value, "float32", file.row.size, at)
        file.write([index], part[None])
        at += file.row.nbytes


class _File:
    """A `.npy` file of float32 that is written row by row.

    It is not memory-mapped, as mapped pages count as this process's memory, and so the whole file
    would in the end.
    """

    def __init__(self, path: Path, lead: tuple[int, ...], row: tuple[int, ...]):
        self.start = np.lib.format.open_memmap(path, "w+", "float32", (*lead, *row)).offset
        self.row = np.empty(row, "float32")
        self.file = path.open("r+b")

    def write(self, indices: Iterable[int], values: np.ndarray) -> None:
        """Write rows float32 (k, *row) to their places, counted over all of `lead`."""
        for index, value in zip(indices, values, strict=True):
            self.file.seek(self.start + int(index) * self.row.nbytes)
            self.file.write(value.tobytes())

    def close(self) -> None:
        self.file.close()
