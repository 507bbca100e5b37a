"""Bottleneck features: what the frozen backbone says of each picture, as `.npy` files.

The pooled features of every kind are kept, being small, so that another pooling extracts nothing
again; the whole feature maps only on demand.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from stages.lib.errors import UserError
from stages.lib.params import Section

FINGERPRINT = "fingerprint.json"
POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}


class Extract(Section):
    """What to keep of the features."""

    maps: bool


def pooled(backbone: keras.Model, maps: bool) -> keras.Model:
    """Return pixels -> {"avg": (n, c), "max": (n, c)[, "map": (n, h, w, c)]}, all float32."""
    outputs = {name: pool(name=name)(backbone.output) for name, pool in POOLINGS.items()}
    if maps:
        outputs["map"] = backbone.output
    return keras.Model(backbone.input, outputs)


def extract(
    model: keras.Model, count: int, batches: Iterable[tuple[slice, np.ndarray]], folder: Path
) -> None:
    """Run the batches through `model` and write NAME.npy into `folder` for each of its outputs.

    `batches`: rows, and their pixels as uint8 (k, h, w, 3), which together cover range(count). Only
    the batch at hand is held in memory.
    """
    folder.mkdir(parents=True)
    files = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype="float32", shape=(count, *output.shape[1:])
        )
        for name, output in model.output.items()
    }
    forward = tf.function(lambda pixels: model(tf.cast(pixels, "float32"), training=False))
    for rows, pixels in batches:
        for name, values in forward(pixels).items():
            files[name][rows] = values.numpy()


def fingerprint(folder: Path) -> dict:
    """Return what extract wrote of the features' making. Raises UserError when there is none."""
    path = folder / FINGERPRINT
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        raise UserError(f"{path} is missing or damaged; run `dvc repro extract`") from None


def load(folder: Path, pooling: str, rows: int) -> np.ndarray:
    """Return the features that a head with this pooling takes, memory-mapped: float32 (rows, ...).

    Raises UserError when there are none, or when they are not of this manifest.
    """
    path = folder / f"{'map' if pooling == 'flatten' else pooling}.npy"
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        if pooling == "flatten":
            raise UserError(
                "params.yaml [head.pooling]: 'flatten' needs whole feature maps; set "
                "extract.maps to true as well"
            ) from None
        raise UserError(f"{path} is missing; run `dvc repro extract`") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not a .npy file ({error}); run `dvc repro extract`") from None
    if features.dtype != "float32" or len(features) != rows:
        raise UserError(
            f"{path} holds {len(features)} rows of {features.dtype} instead of {rows} of float32; "
            "run `dvc repro extract`"
        )
    return features
