"""Build the backbone with Keras: its own preprocessing inside, without top, with weights."""

import math
from pathlib import Path

import keras
from keras import applications, layers, ops

from thaw.models import efficientnet_lite, weights
from thaw.models.registry import DEVIATION, LITE, MEAN, NETWORKS
from thaw.models.settings import Backbone

POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}


def _torch(pixels):
    """Subtract ImageNet's mean and divide by its deviation, on the scale 0..1."""
    scale = [1 / (255 * d) for d in DEVIATION]
    offset = [-m / d for m, d in zip(MEAN, DEVIATION)]
    return layers.Rescaling(scale, offset, name="preprocess")(pixels)


def _tf(pixels):
    """Scale to -1..1."""
    return layers.Rescaling(1 / 127.5, -1.0, name="preprocess")(pixels)


def _caffe(pixels):
    """Subtract ImageNet's mean on the scale 0..255 and swap to BGR, as for Caffe."""
    centred = layers.Rescaling(1.0, [-123.68, -116.779, -103.939], name="preprocess")(pixels)
    return ops.flip(centred, axis=-1)


def _inside(pixels):
    """Leave the pixels as they are: the network's own first layers do it."""
    return pixels


def _inside_but_for_a_root(pixels):
    """Do what EfficientNet's own first layers leave out when they are built without weights.

    They divide by the root of what the training divided by. With `weights="imagenet"` Keras puts a
    Rescaling behind them; no weights file holds that, so here the pixels are spread around
    ImageNet's mean by the same factors.
    """
    factors = [1 / math.sqrt(d) for d in DEVIATION]
    offset = [255 * m * (1 - f) for m, f in zip(MEAN, factors)]
    return layers.Rescaling(factors, offset, name="preprocess")(pixels)


PREPROCESSING = {
    "torch": _torch,
    "tf": _tf,
    "caffe": _caffe,
    "inside": _inside,
    "efficientnet": _inside_but_for_a_root,
}


def network(name: str, image_size: int) -> keras.Model:
    """Build a network of `registry.NETWORKS` with random weights.

    Input: float32 (n, image_size, image_size, 3), RGB 0..255. Output: float32 feature map
    (n, height, width, channels).
    """
    pixels = keras.Input((image_size, image_size, 3), name="pixels")
    scaled = PREPROCESSING[NETWORKS[name].preprocess](pixels)
    if name in LITE:
        return efficientnet_lite.build(LITE.index(name), scaled)
    return getattr(applications, name)(include_top=False, weights=None, input_tensor=scaled)


def build(spec: Backbone) -> keras.Model:
    """Build the network with random weights.

    Input: float32 (n, size, size, 3), RGB 0..255. Output: float32 feature map (n, height, width,
    channels).
    """
    return network(spec.name, spec.size)


def load(spec: Backbone, file: Path) -> keras.Model:
    """Build the network with the weights that the backbone stage saved."""
    model = build(spec)
    weights.load(model, file)
    return model


def pooled(backbone: keras.Model, feature_maps: bool) -> keras.Model:
    """Return pixels -> {"avg": (n, c), "max": (n, c)[, "map": (n, h, w, c)]}, all float32."""
    outputs = {name: pool(name=name)(backbone.output) for name, pool in POOLINGS.items()}
    if feature_maps:
        outputs["map"] = backbone.output
    return keras.Model(backbone.input, outputs)
