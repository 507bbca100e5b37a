"""The forward pass through the frozen backbone, from image files to `.npy` files."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thaw.features import frozen_backbone, inference, store
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.image_source import AugmentedCopies, ImageSource
from thaw.features.inference import with_places
from thaw.features.provenance import of_features
from thaw.features.settings import Extract
from thaw.features.store import FeatureStore
from thaw.models.settings import Backbone
from thaw.project.errors import UserError

LOOKED_UP = 64  # rows at a time in the store

# Of rows (int, any order), batches of pixels RGB 0..255 (k, h, w, 3), each with where its features
# belong: rows (k,), or rows and the number of the augmented copy.
Batches = Callable[[np.ndarray], Iterable[tuple[np.ndarray | tuple, np.ndarray]]]


class Extracted(NamedTuple):
    """What features depend on, and of how many images they were found and computed."""

    provenance: dict
    found: int
    computed: int


def extract_features(
    spec: Backbone,
    settings: Extract,
    weights: Path,
    source: ImageSource,
    folder: Path,
    copies: AugmentedCopies | None = None,
) -> Extracted:
    """Write the features of images, or of augmented copies, into `folder`, a row for each image.

    `weights`: the file of the backbone's.
    """
    provenance = of_features(spec, source.decoding, settings, weights)
    with store.open_store(source.runtime) as kept:
        network = frozen_backbone.of_backbone(spec, settings, weights, provenance, kept, source)
        computed = run_network(network, source, folder, kept, copies)
    provenance |= {key: network.provenance[key] for key in {"ranges"} & network.provenance.keys()}
    provenance |= copies.provenance if copies else {}
    return Extracted(provenance, len(source.images) - computed, computed)


def run_network(
    network: FrozenNetwork,
    source: ImageSource,
    folder: Path,
    kept: FeatureStore,
    copies: AugmentedCopies | None = None,
    dtype: str = "float32",
) -> int:
    """Pass images or augmented copies through a network; write NAME.npy for each of its outputs.

    The files are dtype (n, *shape), or (n, copies, *shape). Returns how many images were computed,
    the others being in the store.
    """
    count = copies.seeds.shape[1] if copies else None
    provenance = network.provenance | {"dtype": dtype}
    if copies:  # which TensorFlow makes, whatever computes their features
        provenance |= copies.provenance | {"copied_on": inference.tensorflow_device()}
    keys = store.keys({**provenance, "outputs": list(network.shapes)}, source.digests, count)
    loader = source.loader(network.size)

    def batches(rows: np.ndarray) -> Iterator:
        chosen = [source.images[row] for row in rows]
        for part, pixels in loader.batches(chosen, source.runtime.batch_size, folder.name):
            if copies is None:
                yield rows[part], pixels
            for number in range(count or 0):
                place = rows[part], number
                yield place, copies.augment(pixels, copies.seeds[place]).numpy()

    return write_outputs(network, keys, batches, folder, kept, dtype)


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
    folder.mkdir(parents=True)
    files = {
        name: _File(folder / f"{name}.npy", dtype, keys.shape, shape)
        for name, shape in network.shapes.items()
    }
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


def _fill(files: dict[str, "_File"], keys: np.ndarray, kept: FeatureStore) -> list[int]:
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


def _unpack(value: bytes, files: dict[str, "_File"], index: int) -> None:
    at = 0
    for file in files.values():
        part = np.frombuffer(value, file.row.dtype, file.row.size, at)
        file.write([index], part[None])
        at += file.row.nbytes


class _File:
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
