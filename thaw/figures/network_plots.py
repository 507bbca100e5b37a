"""Plots of a network: the kernels of its first layer, and its feature maps of one image."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

import keras
import numpy as np
from matplotlib.figure import Figure

from thaw.evaluation import gradcam
from thaw.figures.image_grid import Cell, grid, named
from thaw.project.errors import UserError

KERNELS = 64  # shown of the first layer
COLUMNS = 8
LAYERS = 5  # that "auto" chooses at most
SMALLEST = 4  # height of their feature maps
SMALLER = 1.8  # times, from one to the next
ChannelOrder = Literal["RGB", "BGR"]


def backbone(classifier: keras.Model) -> keras.Model:
    """Return the network inside that `classifier.join` gave the pixels to."""
    return classifier.layers[1]


def kernels(network: keras.Model, channel_order: ChannelOrder) -> Figure:
    """Draw the kernels of the first convolution; grey is 0.

    `channel_order`: of the pixels that this layer takes. Of kernels with other than three channels
    the mean is drawn.
    """
    variable = next(each for each in network.weights if len(each.shape) == 4)
    values = variable.numpy()  # (h, w, in, out)
    if values.shape[2] != 3:
        values = values.mean(axis=2, keepdims=True).repeat(3, axis=2)
    if channel_order == "BGR":
        values = values[:, :, ::-1]
    highest = np.maximum(np.abs(values).max(axis=(0, 1, 2)), 1e-12)
    images = np.moveaxis(0.5 + 0.5 * values / highest, -1, 0)[:KERNELS]
    name = variable.path.split("/")[-2]
    some = f"{len(images)} of " if len(images) < values.shape[3] else ""
    height, width = values.shape[:2]
    title = f"{some}{values.shape[3]} kernels, {height} x {width}, of the first layer {name}"
    title += ": bright colours have positive weights, dark ones negative"
    cells = [Cell((255 * image).round().astype("uint8")) for image in images]
    return grid(cells, COLUMNS, title, lines=0, sharp=True, size=12)


def layers_to_show(network: keras.Model, wanted: str | Sequence[str]) -> list[keras.Layer]:
    """Return layers whose outputs are feature maps, by name, or "auto": the last of each size.

    Raises UserError for a name of no such layer.
    """
    known = {layer.name: layer for layer in network.layers if _has_feature_maps(layer)}
    if wanted != "auto":
        for name in wanted:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                raise UserError(
                    f"{name!r} is no layer of this network with feature maps",
                    key="figures.layers",
                    hint=f"did you mean {near[0]}?" if near else f"the last is {[*known][-1]}",
                )
        return [known[name] for name in wanted]
    chosen, side = [], SMALLEST / SMALLER
    for layer in reversed(known.values()):
        if layer.output.shape[1] >= SMALLER * side and len(chosen) < LAYERS:
            chosen.append(layer)
            side = layer.output.shape[1]
    return chosen[::-1]


def _has_feature_maps(layer: keras.Layer) -> bool:
    """Whether a layer gives feature maps (n, h, w, c), and not an image of up to 3 channels.

    A nested network does not count, since its tensors are out of reach here.
    """
    if isinstance(layer, (keras.Model, *gradcam.MOVING)):
        return False
    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4 and shape[-1] > 3


def feature_maps(
    network: keras.Model, image: np.ndarray, layers: Sequence[keras.Layer], label: str
) -> Figure:
    """Draw of each layer the eight feature maps that vary most over the image uint8 (s, s, 3)."""
    several = keras.Model(network.inputs[0], [layer.output for layer in layers])
    # Twice the same, as a batch of one is computed by another route.
    outputs = several(np.stack([image, image]).astype("float32"), training=False)
    cells = [Cell(image, named(label, COLUMNS, cells=COLUMNS)), *[None] * (COLUMNS - 1)]
    for layer, output in zip(layers, outputs if len(layers) > 1 else [outputs]):
        values = keras.ops.convert_to_numpy(output)[0]  # (h, w, c)
        order = np.argsort(-values.std(axis=(0, 1)), kind="stable")[:COLUMNS]
        height, width, count = values.shape
        shape = f": {height} x {width}, {len(order)} of {count} feature maps"
        row = [Cell(_scaled(values[..., channel])) for channel in order]
        row[0] = row[0]._replace(text=named(layer.name, COLUMNS, after=shape, cells=COLUMNS))
        cells += [*row, *[None] * (COLUMNS - len(row))]
    title = "A test image and its feature maps, from the first layer to the last: dark is low"
    return grid(cells, COLUMNS, title, sharp=True)


def _scaled(values: np.ndarray) -> np.ndarray:
    span = np.ptp(values)
    return (values - values.min()) / (span or 1)
