"""Build the backbone with Keras: its own preprocessing inside, without top, with weights."""

import math
from pathlib import Path

import keras
from keras import applications, layers, ops

from thaw.models import efficientnet_lite, preset_network, weights
from thaw.models.registry import DEVIATION, LITE, MEAN, NETWORKS, OFFSET, SCALE, is_preset
from thaw.models.settings import Backbone
from thaw.project.errors import UserError

POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
CLASS_TOKEN = "cls"  # the pooling that takes this in the place of a feature map


def _torch(pixels):
    """Subtract ImageNet's mean and divide by its deviation, on the scale 0..1."""
    return layers.Rescaling(SCALE, OFFSET, name="preprocess")(pixels)


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


def build(spec: Backbone, file: Path | None = None) -> keras.Model:
    """Build the network with random weights; a preset of what the file of its weights says.

    Input: float32 (n, size, size, 3), RGB 0..255. Output: float32 feature map (n, height, width,
    channels), or a list of that and the class token, (n, channels).
    """
    if is_preset(spec.name):
        description = weights.read_provenance(file).get(preset_network.DESCRIPTION)
        return preset_network.build(description, spec.size)
    return network(spec.name, spec.size)


def load(spec: Backbone, file: Path) -> keras.Model:
    """Build the network with the weights that the backbone stage saved."""
    model = build(spec, file)
    weights.load(model, file)
    return model


def for_pooling(backbone: keras.Model, pooling: str) -> keras.Model:
    """Return the network with what a head takes as its one output: the class token, or the map.

    It shares the layers. Raises UserError where there is no class token.
    """
    feature_map, *token = keras.tree.flatten(backbone.output)
    if pooling != CLASS_TOKEN and not token:
        return backbone
    if not token:
        raise UserError(
            f"{backbone.name} has no class token", "head.pooling", "set it to avg, max or flatten"
        )
    output = token[0] if pooling == CLASS_TOKEN else feature_map
    return keras.Model(backbone.input, output, name=backbone.name)


def pooled(backbone: keras.Model, feature_maps: bool) -> keras.Model:
    """Return pixels -> {"avg": (n, c), "max": (n, c)[, "cls": (n, c)][, "map": (n, h, w, c)]}.

    All are float32; there is a `cls` where the network has a class token.
    """
    feature_map, *token = keras.tree.flatten(backbone.output)
    outputs = {name: pool(name=name)(feature_map) for name, pool in POOLINGS.items()}
    if token:
        outputs[CLASS_TOKEN] = token[0]
    if feature_maps:
        outputs["map"] = feature_map
    return keras.Model(backbone.input, outputs)
