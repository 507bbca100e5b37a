"""The outputs of a network as `.npy` files, written row by row, from the feature store or anew."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.inference import with_places
from thaw.features.store import FeatureStore
from thaw.project.errors import UserError

LOOKED_UP = 64  # rows at a time in the store

# Of rows (int, any order), batches of pixels RGB 0..255 (k, h, w, 3), each with where its features
# belong: rows (k,), or rows and the number of the augmented copy.
Batches = Callable[[np.ndarray], Iterable[tuple[np.ndarray | tuple, np.ndarray]]]


def write_outputs(
    network: FrozenNetwork,
    keys: np.ndarray,
    batches: Batches,
    folder: Path,
    kept: FeatureStore,
    dtype: str = "float32",
) -> int:
    """Write NAME.npy into `folder` for each output, dtype (*keys.shape, *shape).

    `keys`: of each row, bytes (n,), or of its augmented copies, (n, k). Rows whose keys are all in
    the store `kept` are taken from there, the others are asked of `batches`, run and stored. Only
    the batch at hand is in memory. Returns how many were computed.
    """
    files = create(network, keys.shape, folder, dtype)
    missing = np.array(_fill(files, keys, kept), int)
    for place, outputs in with_places(network.ready(), batches(missing)) if len(missing) else ():
        outputs = {name: _as_dtype(outputs[name], dtype) for name in files}
        indices = np.arange(keys.size).reshape(keys.shape)[place]
        for name, file in files.items():
            file.write(indices, outputs[name])
        each = zip(*outputs.values(), strict=True)
        packed = (b"".join(part.tobytes() for part in row) for row in each)
        kept.put(zip(keys[place], packed, strict=True))
    for file in files.values():
        file.close()
    return len(missing)


def create(
    network: FrozenNetwork, lead: tuple[int, ...], folder: Path, dtype: str
) -> dict[str, "OutputFile"]:
    """Return a file NAME.npy in the new `folder` for each output of a network, dtype (*lead, ...).

    They have no rows yet.
    """
    folder.mkdir(parents=True)
    return {
        name: OutputFile(folder / f"{name}.npy", dtype, lead, shape)
        for name, shape in network.shapes.items()
    }


def _as_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 values as `dtype`. Raises UserError when they are too large for it."""
    with np.errstate(over="ignore"):  # of which the next lines speak
        values = values.astype(dtype, copy=False)
    if dtype == "float16" and not np.isfinite(values).all():
        raise UserError(
            "this network's numbers are too large for float16",
            "fine_tune.activations_dtype",
            "set it to float32",
        )
    return values


def _fill(files: dict[str, "OutputFile"], keys: np.ndarray, kept: FeatureStore) -> list[int]:
    """Write the rows that the store has; return the others."""
    missing, copies = [], keys[:1].size
    size = sum(file.row.nbytes for file in files.values())
    for start in range(0, len(keys), LOOKED_UP):
        part = keys[start : start + LOOKED_UP].reshape(-1, copies)
        values = kept.get(part.ravel())
        for row, wanted in enumerate(part, start):
            found = [values.get(key, b"") for key in wanted]
            if any(len(value) != size for value in found):
                missing.append(row)
                continue
            for number, value in enumerate(found):
                _unpack(value, files, row * copies + number)
    return missing


def _unpack(value: bytes, files: dict[str, "OutputFile"], index: int) -> None:
    at = 0
    for file in files.values():
        part = np.frombuffer(value, file.row.dtype, file.row.size, at)
        file.write([index], part[None])
        at += file.row.nbytes


class OutputFile:
    """A `.npy` file that is written row by row.

    It is not memory-mapped, as mapped pages count as this process's memory, and so the whole file
    would in the end.
    """

    def __init__(self, path: Path, dtype: str, lead: tuple[int, ...], row: tuple[int, ...]):
        self.start = np.lib.format.open_memmap(path, "w+", dtype, (*lead, *row)).offset
        self.row = np.empty(row, dtype)
        self.file = path.open("r+b")

    def write(self, indices: Iterable[int], values: np.ndarray) -> None:
        """Write rows (k, *row) to their places, counted over all of `lead`."""
        for index, value in zip(indices, values, strict=True):
            self.file.seek(self.start + int(index) * self.row.nbytes)
            self.file.write(value.tobytes())

    def close(self) -> None:
        self.file.close()
