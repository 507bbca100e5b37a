"""The forward pass through the frozen backbone, from batches of pixels to `.npy` files."""

from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}


def pooled(backbone: keras.Model, maps: bool) -> keras.Model:
    """Return pixels -> {"avg": (n, c), "max": (n, c)[, "map": (n, h, w, c)]}, all float32."""
    outputs = {name: pool(name=name)(backbone.output) for name, pool in POOLINGS.items()}
    if maps:
        outputs["map"] = backbone.output
    return keras.Model(backbone.input, outputs)


def extract(
    model: keras.Model,
    shape: tuple[int, ...],
    batches: Iterable[tuple[slice | tuple, np.ndarray]],
    folder: Path,
) -> None:
    """Run the batches through `model` and write NAME.npy into `folder` for each of its outputs.

    The files are float32 (*shape, ...). `batches`: where in them the features of each batch belong
    (rows, or rows and a view), and its pixels, RGB 0..255 (k, h, w, 3); together they cover all.
    Only the batch at hand is held in memory.
    """
    folder.mkdir(parents=True)
    files = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype="float32", shape=(*shape, *output.shape[1:])
        )
        for name, output in model.output.items()
    }
    forward = tf.function(lambda pixels: model(tf.cast(pixels, "float32"), training=False))
    for place, pixels in batches:
        for name, values in forward(pixels).items():
            files[name][place] = values.numpy()
