"""The forward pass through the frozen backbone, from picture files to `.npy` files."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from stages.lib import backbones, engines, fingerprints, pictures, store
from stages.lib.backbones import Backbone
from stages.lib.features import Extract
from stages.lib.pictures import Pictures
from stages.lib.runtime import Runtime
from stages.lib.store import Store

LOOKED_UP = 64  # rows at a time in the store

# Of rows (int, any order), batches of pixels RGB 0..255 (k, h, w, 3), each with where its features
# belong: rows (k,), or rows and a view.
Batches = Callable[[np.ndarray], Iterable[tuple[np.ndarray | tuple, np.ndarray]]]


class Settings(NamedTuple):
    """The sections of params.yaml that extraction goes by."""

    backbone: Backbone
    extract: Extract
    pictures: Pictures
    runtime: Runtime


class Views(NamedTuple):
    """Varied copies of pictures.

    vary: from pixels uint8 (k, h, w, 3) and seeds int64 (k,) to float32 pixels. seeds: of each
    picture's views, int64 (n, views). made_with: what tells them from other ones, for the keys.
    """

    vary: Callable[[np.ndarray, np.ndarray], tf.Tensor]
    seeds: np.ndarray
    made_with: dict


class Done(NamedTuple):
    """What features were made with, and of how many pictures they were found and computed."""

    made_with: dict
    found: int
    computed: int


def run(
    settings: Settings,
    weights: Path,
    images: Sequence[Path],
    digests: Sequence[str],
    folder: Path,
    views: Views | None = None,
) -> Done:
    """Write the features of `images` into `folder`, as `extract` does, one row for each.

    `weights`: the file of the backbone's; `digests`: of the images' files, for the store. With
    `views` the features are of those and not of the pictures themselves.
    """
    model = pooled(backbones.load(settings.backbone, weights), settings.extract.maps)
    engine, precision = settings.extract.engine, settings.extract.precision
    made_with = backbones.fingerprint(settings.backbone, settings.pictures)
    made_with = fingerprints.with_weights(made_with, weights)
    made_with |= {"engine": engine, "precision": precision}
    made_with |= views.made_with if views else {}
    sizes = shapes(model)
    count = views.seeds.shape[1] if views else None
    keys = store.keys({**made_with, "outputs": list(sizes)}, digests, count)

    def batches(rows: np.ndarray):
        chosen = [images[row] for row in rows]
        size, runtime = settings.backbone.size, settings.runtime
        for part, pixels in pictures.batches(
            chosen, size, settings.pictures, runtime.batch_size, runtime.threads, folder.name
        ):
            if views is None:
                yield rows[part], pixels
            for view in range(count or 0):
                place = rows[part], view
                yield place, views.vary(pixels, views.seeds[place]).numpy()

    with store.Store(settings.runtime.store_file, settings.runtime.store_gigabytes) as kept:
        forward = engines.forward(model, engine, precision)
        missing = extract(forward, sizes, keys, batches, folder, kept)
    return Done(made_with, len(images) - missing, missing)


def pooled(backbone: keras.Model, maps: bool) -> keras.Model:
    """Return pixels -> {"avg": (n, c), "max": (n, c)[, "map": (n, h, w, c)]}, all float32."""
    outputs = {name: pool(name=name)(backbone.output) for name, pool in backbones.POOLINGS.items()}
    if maps:
        outputs["map"] = backbone.output
    return keras.Model(backbone.input, outputs)


def shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """Return the shape of one row of each of the model's outputs, sorted by name."""
    return {name: tuple(model.output[name].shape[1:]) for name in sorted(model.output)}


def extract(
    forward: engines.Forward,
    shapes: dict[str, tuple[int, ...]],
    keys: np.ndarray,
    batches: Batches,
    folder: Path,
    store: Store,
) -> int:
    """Write NAME.npy into `folder` for each of `shapes`, float32 (*keys.shape, *shape).

    `keys`: of each row, bytes (n,), or of its views, (n, k). Rows whose keys are all in `store` are
    taken from there, the others are asked of `batches`, run and stored. Only the batch at hand is
    in memory. Returns how many were computed.
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
