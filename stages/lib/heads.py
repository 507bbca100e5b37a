"""The head: from bottleneck features to logits."""

from pathlib import Path
from typing import Annotated, Literal

import keras
from keras import layers
from pydantic import Field

from stages.lib import weights
from stages.lib.params import Section


class Head(Section):
    """The shape of the head."""

    pooling: Literal["avg", "max", "flatten"]
    hidden: list[Annotated[int, Field(ge=1)]]
    dropout: Annotated[float, Field(ge=0, lt=1)]


def logit_count(classes: int) -> int:
    """Return 1 for two classes (the logit of class 1), else one per class."""
    return 1 if classes == 2 else classes


def build(spec: Head, feature_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Build the head with random weights.

    Input: float32 (n, *feature_shape), (c,) for pooled features or (h, w, c) for maps to flatten.
    Output: float32 logits (n, 1) for two classes, (n, classes) for more.
    """
    features = x = keras.Input(feature_shape, name="features")
    if spec.pooling == "flatten":
        x = layers.Flatten(name="flatten")(x)
    for number, units in enumerate(spec.hidden, 1):
        x = layers.Dense(units, activation="relu", name=f"hidden{number}")(x)
        x = layers.Dropout(spec.dropout, name=f"dropout{number}")(x) if spec.dropout else x
    if spec.dropout and not spec.hidden:
        x = layers.Dropout(spec.dropout, name="dropout")(x)
    logits = layers.Dense(logit_count(classes), name="logits")(x)
    return keras.Model(features, logits, name="head")


def load(spec: Head, feature_shape: tuple[int, ...], classes: int, file: Path) -> keras.Model:
    """Build the head with the weights that train_head saved."""
    head = build(spec, feature_shape, classes)
    weights.load(head, file)
    return head
