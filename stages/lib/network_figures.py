"""What a network looks for: the kernels of its first layer, and its maps of one picture."""

from collections.abc import Sequence
from difflib import get_close_matches

import keras
import numpy as np
from matplotlib.figure import Figure

from stages.lib import gradcam
from stages.lib.errors import UserError
from stages.lib.sheets import Cell, grid, named

KERNELS = 64  # shown of the first layer
COLUMNS = 8
LAYERS = 5  # chosen by themselves
LEAST = 4  # places a side of their maps
SMALLER = 1.8  # times, from one to the next


def backbone(classifier: keras.Model) -> keras.Model:
    """Return the network that `classifier.join` put behind the pixels."""
    return classifier.layers[1]


def kernels(network: keras.Model, blue_first: bool) -> Figure:
    """Draw the kernels of the first layer that has some, grey being 0.

    `blue_first`: the network takes its channels as BGR. Kernels of other than three channels are
    shown by their mean.
    """
    variable = next(each for each in network.weights if len(each.shape) == 4)
    values = variable.numpy()  # (h, w, in, out)
    if values.shape[2] != 3:
        values = values.mean(axis=2, keepdims=True).repeat(3, axis=2)
    if blue_first:
        values = values[:, :, ::-1]
    highest = np.maximum(np.abs(values).max(axis=(0, 1, 2)), 1e-12)
    pictures = np.moveaxis(0.5 + 0.5 * values / highest, -1, 0)[:KERNELS]
    name = variable.path.split("/")[-2]
    some = f"{len(pictures)} of " if len(pictures) < values.shape[3] else ""
    height, width = values.shape[:2]
    title = f"{some}{values.shape[3]} kernels, {height} x {width}, of the first layer {name}"
    title += ": the colours that each adds (bright) and takes off (dark)"
    cells = [Cell((255 * picture).round().astype("uint8")) for picture in pictures]
    return grid(cells, COLUMNS, title, lines=0, sharp=True, size=12)


def layers_to_show(network: keras.Model, wanted: str | Sequence[str]) -> list[keras.Layer]:
    """Return layers whose outputs are maps, by name, or for "auto" the last of each size of map.

    Raises UserError for a name that is none of these.
    """
    known = {layer.name: layer for layer in network.layers if _has_maps(layer)}
    if wanted != "auto":
        for name in wanted:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"the last is {[*known][-1]}"
                raise UserError(
                    f"params.yaml [figures.layers]: {name!r} is no layer of this network with "
                    f"maps; {hint}"
                )
        return [known[name] for name in wanted]
    chosen, side = [], LEAST / SMALLER
    for layer in reversed(known.values()):
        if layer.output.shape[1] >= SMALLER * side and len(chosen) < LAYERS:
            chosen.append(layer)
            side = layer.output.shape[1]
    return chosen[::-1]


def _has_maps(layer: keras.Layer) -> bool:
    """Whether a layer of the network itself, not of one in it, gives maps (n, h, w, c), no colours.

    Such an inner network's tensors cannot be had from here.
    """
    if isinstance(layer, (keras.Model, *gradcam.MOVING)):
        return False
    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4 and shape[-1] > 3


def feature_maps(
    network: keras.Model, picture: np.ndarray, layers: Sequence[keras.Layer], label: str
) -> Figure:
    """Draw of each layer the eight maps that vary most over the picture, uint8 (s, s, 3)."""
    several = keras.Model(network.inputs[0], [layer.output for layer in layers])
    # Twice the same, as a batch of one is computed by another route.
    outputs = several(np.stack([picture, picture]).astype("float32"), training=False)
    cells = [Cell(picture, named(label, COLUMNS, cells=COLUMNS)), *[None] * (COLUMNS - 1)]
    for layer, output in zip(layers, outputs if len(layers) > 1 else [outputs]):
        maps = keras.ops.convert_to_numpy(output)[0]
        order = np.argsort(-maps.std(axis=(0, 1)), kind="stable")[:COLUMNS]
        height, width, count = maps.shape
        said = f": {height} x {width}, {len(order)} of {count} maps"
        row = [Cell(_scaled(maps[..., channel])) for channel in order]
        row[0] = row[0]._replace(text=named(layer.name, COLUMNS, after=said, cells=COLUMNS))
        cells += [*row, *[None] * (COLUMNS - len(row))]
    title = "One picture and what layers make of it, from the first to the last: dark is low"
    return grid(cells, COLUMNS, title, sharp=True)


def _scaled(values: np.ndarray) -> np.ndarray:
    span = np.ptp(values)
    return (values - values.min()) / (span or 1)
