"""Where in a picture a network finds its class: Grad-CAM.

Selvaraju and others 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization" (ICCV; arXiv:1610.02391): the maps of one layer, each weighted by the mean of the
class score's gradient over its places; what speaks against the class is cut off.
"""

from functools import lru_cache
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from matplotlib import colormaps
from PIL import Image

LEAST = 4  # places a side: a smaller map says little of where
BATCH = 16  # pictures
MOVING = (layers.ZeroPadding2D, layers.Cropping2D)
COVER = 0.65  # of the hottest place by its colour


def heatmaps(model: keras.Model, pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return how much each place speaks for a class: float32 (n, h, w), each scaled to 0..1.

    `model`: pixels -> logits, or by a last layer Softmax probabilities; (n, 1) is the logit of the
    second of two classes. It may hold other models. `pixels`: float32 (n, s, s, 3), RGB 0..255.
    `classes`: int (n,), the class that is asked about in each picture. h and w are those of the
    last layer with LEAST places a side; all is 0 where nothing speaks for the class. Raises
    ValueError for a model that is not Functional or Sequential, or has no such layer.
    """
    both = _with_map(model)
    classes = np.asarray(classes)
    heats = []
    for start in range(0, len(pixels), BATCH):
        rows = slice(start, start + BATCH)
        batch = tf.constant(pixels[rows], "float32")
        with tf.GradientTape() as tape:
            tape.watch(batch)  # of a frozen network nothing else would be followed
            maps, logits = both(batch, training=False)
            score = tf.reduce_sum(_score(logits, classes[rows]))
        weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
        heats.append(tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy())
    heat = np.concatenate(heats)
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)


def _score(logits: tf.Tensor, classes: np.ndarray) -> tf.Tensor:
    """Return what a class has ahead: its logit, or of two classes its logit less the other's."""
    if logits.shape[-1] == 1:
        return tf.where(classes == 1, logits[:, 0], -logits[:, 0])
    own = tf.gather(logits, classes, axis=1, batch_dims=1)
    return (
        own - tf.gather(logits, 1 - classes, axis=1, batch_dims=1) if logits.shape[-1] == 2 else own
    )


@lru_cache(maxsize=1)  # a page asks the same model again and again
def _with_map(model: keras.Model) -> keras.Model:
    """Return pixels -> (maps of the last large enough layer, logits), on the model's own layers."""
    found = _opened(model, outermost=True)
    if found is None:
        raise ValueError(f"{model.name} has no layer with maps of {LEAST} places a side")
    return found


class _Call(NamedTuple):
    """A layer's call: what goes in, what comes out, and the maps inside a nested model."""

    given: list[keras.KerasTensor]
    output: keras.KerasTensor
    inside: keras.KerasTensor | None
    moves: bool


def _opened(model: keras.Model, outermost: bool = False) -> keras.Model | None:
    """Return inputs -> (maps of its last large enough layer, outputs); None without such a layer.

    A last Softmax is left out of the `outermost`: the gradient of a probability near 1 is nearly 0.
    """
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs[0], model.outputs[0])
    calls = []

    def call(layer, *inputs, **options):
        if outermost and layer is model.layers[-1] and isinstance(layer, layers.Softmax):
            return inputs[0]
        inner = _opened(layer) if isinstance(layer, keras.Model) else None
        inside, output = inner(*inputs) if inner else (None, layer(*inputs, **options))
        tensors = keras.tree.flatten((inputs, options))
        given = [each for each in tensors if isinstance(each, keras.KerasTensor)]
        calls.append(_Call(given, output, inside, isinstance(layer, MOVING)))
        return output

    # Calls the same layers once more; a nested model's tensors cannot be had otherwise.
    again = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
    maps = _maps(again.inputs[0], calls)
    return None if maps is None else keras.Model(again.inputs[0], [maps, again.outputs[0]])


def _maps(pixels: keras.KerasTensor, calls: list[_Call]) -> keras.KerasTensor | None:
    """Return the last maps with LEAST places a side that all later layers depend on alone.

    Where there are none near the end, as in NASNet, the last of a branch; None without large ones.
    """
    last_use = {id(each): place for place, made in enumerate(calls) for each in made.given}
    used_until, alone, any_maps = last_use.get(id(pixels), 0), None, None
    for place, made in enumerate(calls):
        # padding and cropping would shift places against those of the picture
        found = made.output if _has_places(made.output) and not made.moves else made.inside
        if found is not None:
            any_maps = found
            alone = found if used_until <= place else alone
        used_until = max(used_until, last_use.get(id(made.output), 0))
    if alone is not None and (alone.shape[1] or 0) < 2 * (any_maps.shape[1] or 1):
        return alone
    return any_maps


def _has_places(output) -> bool:
    """Whether a layer gives one map (n, h, w, c) with LEAST places a side, or with any number."""
    shape = getattr(output, "shape", ())
    return len(shape) == 4 and all(side is None or side >= LEAST for side in shape[1:3])


def overlay(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay heat, float32 (n, h, w) in 0..1, on pictures uint8 (n, s, s, 3); the same is returned.

    The hotter a place, the more it is covered by viridis' colours, dark blue to yellow; cold ones
    stay as they are, but darker.
    """
    side = pixels.shape[2], pixels.shape[1]
    smooth = np.stack(
        [np.asarray(Image.fromarray(each).resize(side, Image.Resampling.BILINEAR)) for each in heat]
    )
    colours = 255 * colormaps["viridis"](smooth)[..., :3]
    share = COVER * smooth[..., None]
    return ((1 - share) * 0.7 * pixels + share * colours).round().astype("uint8")
