"""The forward pass through the frozen backbone, from picture files to `.npy` files."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stages.lib import backbones, fingerprints, frozen, pictures, store
from stages.lib.backbones import Backbone
from stages.lib.errors import UserError
from stages.lib.features import Extract
from stages.lib.frozen import Network
from stages.lib.pictures import Pictures
from stages.lib.runtime import Runtime
from stages.lib.store import Store

if TYPE_CHECKING:
    import tensorflow as tf

LOOKED_UP = 64  # rows at a time in the store

# Of rows (int, any order), batches of pixels RGB 0..255 (k, h, w, 3), each with where its features
# belong: rows (k,), or rows and a view.
Batches = Callable[[np.ndarray], Iterable[tuple[np.ndarray | tuple, np.ndarray]]]


class Source(NamedTuple):
    """Pictures: their files, the files' digests (for the store), and how they are decoded."""

    images: Sequence[Path]
    digests: Sequence[str]
    decoding: Pictures
    runtime: Runtime


class Views(NamedTuple):
    """Varied copies of pictures.

    vary: from pixels uint8 (k, h, w, 3) and seeds int64 (k,) to float32 pixels. seeds: of each
    picture's views, int64 (n, views). made_with: what tells them from other ones, for the keys.
    """

    vary: Callable[[np.ndarray, np.ndarray], "tf.Tensor"]
    seeds: np.ndarray
    made_with: dict


class Done(NamedTuple):
    """What features were made with, and of how many pictures they were found and computed."""

    made_with: dict
    found: int
    computed: int


def run(
    spec: Backbone,
    settings: Extract,
    weights: Path,
    source: Source,
    folder: Path,
    views: Views | None = None,
) -> Done:
    """Write the features of pictures, or of their views, into `folder`, a row for each picture.

    `weights`: the file of the backbone's.
    """
    made_with = backbones.fingerprint(spec, source.decoding)
    made_with = fingerprints.with_weights(made_with, weights)
    made_with |= {"engine": settings.engine, "precision": settings.precision}
    network = frozen.of_backbone(spec, settings, weights, made_with, source.runtime)
    computed = write(network, source, folder, views)
    made_with |= views.made_with if views else {}
    return Done(made_with, len(source.images) - computed, computed)


def write(
    network: Network,
    source: Source,
    folder: Path,
    views: Views | None = None,
    dtype: str = "float32",
) -> int:
    """Pass pictures or their views through a network; write NAME.npy for each of its outputs.

    The files are dtype (n, *shape), or (n, views, *shape). Returns how many pictures were computed,
    the others being in the store.
    """
    count = views.seeds.shape[1] if views else None
    made_with = network.made_with | (views.made_with if views else {}) | {"dtype": dtype}
    keys = store.keys({**made_with, "outputs": list(network.shapes)}, source.digests, count)
    progress = folder.name.removeprefix("partial-")
    runtime = source.runtime

    def batches(rows: np.ndarray):
        chosen = [source.images[row] for row in rows]
        for part, pixels in pictures.batches(
            chosen, network.size, source.decoding, runtime.batch_size, runtime.threads, progress
        ):
            if views is None:
                yield rows[part], pixels
            for view in range(count or 0):
                place = rows[part], view
                yield place, views.vary(pixels, views.seeds[place]).numpy()

    with store.Store(runtime.store_file, runtime.store_gigabytes) as kept:
        return extract(network, keys, batches, folder, kept, dtype)


def extract(
    network: Network,
    keys: np.ndarray,
    batches: Batches,
    folder: Path,
    store: Store,
    dtype: str = "float32",
) -> int:
    """Write NAME.npy into `folder` for each output, dtype (*keys.shape, *shape).

    `keys`: of each row, bytes (n,), or of its views, (n, k). Rows whose keys are all in `store` are
    taken from there, the others are asked of `batches`, run and stored. Only the batch at hand is
    in memory. Returns how many were computed.
    """
    folder.mkdir(parents=True)
    files = {
        name: _File(folder / f"{name}.npy", dtype, keys.shape, shape)
        for name, shape in network.shapes.items()
    }
    missing = np.array(_fill(files, keys, store), int)
    for place, outputs in network.ready()(batches(missing)) if len(missing) else ():
        with np.errstate(over="ignore"):  # of which the next line speaks
            outputs = {name: outputs[name].astype(dtype, copy=False) for name in files}
        if dtype == "float16" and not all(np.isfinite(each).all() for each in outputs.values()):
            raise UserError(
                "params.yaml [fine_tune.trunk_dtype]: this network's numbers are too large for "
                "float16; set it to float32"
            )
        indices = np.arange(keys.size).reshape(keys.shape)[place]
        for name, file in files.items():
            file.write(indices, outputs[name])
        each = zip(*outputs.values(), strict=True)
        packed = (b"".join(part.tobytes() for part in row) for row in each)
        store.put(zip(keys[place], packed, strict=True))
    for file in files.values():
        file.close()
    return len(missing)


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
