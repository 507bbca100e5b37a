"""The whole network, backbone and head joined: RGB pixels in, logits or probabilities out."""

from pathlib import Path

import keras
from keras import layers, ops

from stages.lib import building, heads, weights
from stages.lib.backbones import Backbone
from stages.lib.heads import Head


def join(backbone: keras.Model, head: keras.Model, spec: Head) -> keras.Model:
    """Return pixels -> logits. It shares the layers of both, so training it changes both."""
    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    x = backbone(pixels)
    if spec.pooling != "flatten":
        x = building.POOLINGS[spec.pooling](name=spec.pooling)(x)
    return keras.Model(pixels, head(x), name="classifier")


def load(backbone_spec: Backbone, head_spec: Head, classes: int, file: Path) -> keras.Model:
    """Build the joined network with the weights that fine_tune saved."""
    backbone = building.build(backbone_spec)
    is_map = head_spec.pooling == "flatten"
    feature_shape = backbone.output_shape[1:] if is_map else backbone.output_shape[-1:]
    classifier = join(backbone, heads.build(head_spec, feature_shape, classes), head_spec)
    weights.load(classifier, file)
    return classifier


def with_probabilities(classifier: keras.Model) -> keras.Model:
    """Return pixels -> one probability per class, float32 (n, classes), each row of sum 1."""
    logits = classifier.output
    if logits.shape[-1] == 1:  # sigmoid(z) is the second entry of softmax((0, z))
        logits = ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
    probabilities = layers.Softmax(name="probabilities")(logits)
    return keras.Model(classifier.input, probabilities, name="classifier")
