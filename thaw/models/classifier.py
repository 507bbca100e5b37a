"""The whole network, backbone and head joined: RGB pixels in, logits or probabilities out."""

from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers, ops

from thaw.models import backbones, heads, weights
from thaw.models.settings import Backbone, Head


class JoinedNetwork(NamedTuple):
    """Pixels -> logits, and the parts that it shares its layers with. pooling: between them."""

    joined: keras.Model
    backbone: keras.Model
    head: keras.Model
    pooling: str


def join(backbone: keras.Model, head: keras.Model, pooling: str) -> keras.Model:
    """Return pixels -> logits. It shares the layers of both, so training it changes both.

    `backbone`: with the one output that the pooling takes.
    """
    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    x = backbone(pixels)
    if pooling in backbones.POOLINGS:
        x = backbones.POOLINGS[pooling](name=pooling)(x)
    return keras.Model(pixels, head(x), name="classifier")


def load_parts(
    backbone_spec: Backbone, head_spec: Head, classes: int, backbone_file: Path, head_file: Path
) -> JoinedNetwork:
    """Build the network with the weights that the stages backbone and train_head saved."""
    backbone = backbones.load(backbone_spec, backbone_file)
    backbone = backbones.for_pooling(backbone, head_spec.pooling)
    head = heads.load(head_spec, _feature_shape(backbone, head_spec), classes, head_file)
    joined = join(backbone, head, head_spec.pooling)
    return JoinedNetwork(joined, backbone, head, head_spec.pooling)


def load(backbone_spec: Backbone, head_spec: Head, classes: int, file: Path) -> keras.Model:
    """Build the joined network with the weights that fine_tune saved."""
    backbone = backbones.build(backbone_spec, file)
    backbone = backbones.for_pooling(backbone, head_spec.pooling)
    head = heads.build(head_spec, _feature_shape(backbone, head_spec), classes)
    classifier = join(backbone, head, head_spec.pooling)
    weights.load(classifier, file)
    return classifier


def _feature_shape(backbone: keras.Model, spec: Head) -> tuple[int, ...]:
    """Return the shape of what the head takes, but for the batch."""
    is_map = spec.pooling == "flatten"
    return backbone.output_shape[1:] if is_map else backbone.output_shape[-1:]


def with_probabilities(classifier: keras.Model, temperature: float = 1.0) -> keras.Model:
    """Return pixels -> one probability per class, float32 (n, classes), each row of sum 1.

    The logits are divided by the temperature, > 0, as in `thaw.calibration.temperature.apply`.
    """
    logits = layers.Rescaling(1 / temperature, name="temperature")(classifier.output)
    if logits.shape[-1] == 1:  # sigmoid(z) is the second entry of softmax((0, z))
        logits = ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
    probabilities = layers.Softmax(name="probabilities")(logits)
    return keras.Model(classifier.input, probabilities, name="classifier")
