"""Where in an image a network finds its class: Grad-CAM.

Selvaraju and others 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization" (ICCV; arXiv:1610.02391): the feature maps of one layer, each weighted by the mean
of the class score's gradient over its places; what speaks against the class is cut off.
"""

from functools import lru_cache
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from matplotlib import colormaps
from PIL import Image

SMALLEST = 4  # height and width: a smaller feature map says little of where
BATCH = 16  # images
MOVING = (layers.ZeroPadding2D, layers.Cropping2D)  # shift places against those of the image
OPACITY = 0.65  # of the hottest place's colour


def heatmaps(model: keras.Model, pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return how much each place speaks for a class: float32 (n, h, w), each scaled to 0..1.

    `model`: pixels -> logits, or probabilities where its last layer is Softmax; logits (n, 1) are
    of the second of two classes. It may hold other models. `pixels`: float32 (n, s, s, 3), RGB
    0..255. `classes`: int (n,), the class to explain in each image. h and w are those of the last
    layer whose feature maps are at least SMALLEST x SMALLEST; all is 0 where nothing speaks for the
    class. Raises ValueError for a model that is not Functional or Sequential, or has no such layer.
    """
    both = _with_feature_maps(model)
    classes = np.asarray(classes)
    heats = []
    for start in range(0, len(pixels), BATCH):
        rows = slice(start, start + BATCH)
        batch = tf.constant(pixels[rows], "float32")
        with tf.GradientTape() as tape:
            tape.watch(batch)  # of a frozen network nothing else would be followed
            feature_maps, logits = both(batch, training=False)
            score = tf.reduce_sum(_score(logits, classes[rows]))
        weights = tf.reduce_mean(tape.gradient(score, feature_maps), axis=(1, 2), keepdims=True)
        heats.append(tf.nn.relu(tf.reduce_sum(weights * feature_maps, axis=-1)).numpy())
    heat = np.concatenate(heats)
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)


def _score(logits: tf.Tensor, classes: np.ndarray) -> tf.Tensor:
    """Return the logit of each class (n,); of two classes the difference to the other's logit."""
    if logits.shape[-1] == 1:
        return tf.where(classes == 1, logits[:, 0], -logits[:, 0])
    own = tf.gather(logits, classes, axis=1, batch_dims=1)
    if logits.shape[-1] > 2:
        return own
    return own - tf.gather(logits, 1 - classes, axis=1, batch_dims=1)


@lru_cache(maxsize=1)  # a page asks the same model again and again
def _with_feature_maps(model: keras.Model) -> keras.Model:
    """Return pixels -> (feature maps of the last layer with large ones, logits).

    It shares the layers of the model.
    """
    found = _opened(model, outermost=True)
    if found is None:
        raise ValueError(f"{model.name} has no feature maps of at least {SMALLEST} x {SMALLEST}")
    return found


class _Call(NamedTuple):
    """A layer's call: its inputs, its output, the feature maps inside a nested model.

    moves: it shifts places against those of the image.
    """

    inputs: list[keras.KerasTensor]
    output: keras.KerasTensor
    inside: keras.KerasTensor | None
    moves: bool


def _opened(model: keras.Model, outermost: bool = False) -> keras.Model | None:
    """Return inputs -> (feature maps of the last layer with large ones, outputs), or None.

    None where no layer has some. A last Softmax is left out of the `outermost` model, since the
    gradient of a probability near 1 is nearly 0.
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
    feature_maps = _feature_maps(again.inputs[0], calls)
    if feature_maps is None:
        return None
    return keras.Model(again.inputs[0], [feature_maps, again.outputs[0]])


def _feature_maps(pixels: keras.KerasTensor, calls: list[_Call]) -> keras.KerasTensor | None:
    """Return the last feature maps that are large enough and that all later layers depend on.

    Where there are none near the end, as in NASNet, those of a branch; None without large ones.
    """
    last_use = {id(each): place for place, made in enumerate(calls) for each in made.inputs}
    used_until, of_all, last = last_use.get(id(pixels), 0), None, None
    for place, made in enumerate(calls):
        found = made.output if _has_places(made.output) and not made.moves else made.inside
        if found is not None:
            last = found
            of_all = found if used_until <= place else of_all
        tensors = keras.tree.flatten(made.output)  # a split has several
        used_until = max(used_until, *(last_use.get(id(each), 0) for each in tensors))
    if of_all is not None and (of_all.shape[1] or 0) < 2 * (last.shape[1] or 1):
        return of_all
    return last


def _has_places(output) -> bool:
    """Whether a layer gives feature maps (n, h, w, c) that are large enough, or of any size."""
    shape = getattr(output, "shape", ())
    return len(shape) == 4 and all(side is None or side >= SMALLEST for side in shape[1:3])


def overlay(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return images uint8 (n, s, s, 3) under heat, float32 (n, h, w) in 0..1, as uint8 alike.

    The hotter a place, the more it is covered by viridis' colours, dark blue to yellow. Cold places
    are only darker.
    """
    size = pixels.shape[2], pixels.shape[1]
    smooth = np.stack(
        [np.asarray(Image.fromarray(each).resize(size, Image.Resampling.BILINEAR)) for each in heat]
    )
    colours = 255 * colormaps["viridis"](smooth)[..., :3]
    opacity = OPACITY * smooth[..., None]
    return ((1 - opacity) * 0.7 * pixels + opacity * colours).round().astype("uint8")
