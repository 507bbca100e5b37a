"""The head: from bottleneck features to logits."""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from thaw.models import weights
from thaw.models.settings import Head, Regularization


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
    kernel, activity = _regularizers(spec.regularization)
    for number, units in enumerate(spec.hidden, 1):
        x = layers.Dense(units, kernel_regularizer=kernel, name=f"hidden{number}")(x)
        if spec.batch_normalization:
            x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        if activity:
            x = layers.ActivityRegularization(*activity, name=f"regularization{number}")(x)
        x = layers.Dropout(spec.dropout, name=f"dropout{number}")(x) if spec.dropout else x
    if spec.dropout and not spec.hidden:
        x = layers.Dropout(spec.dropout, name="dropout")(x)
    if spec.batch_normalization and not spec.hidden:
        x = layers.BatchNormalization(name="norm")(x)
    logits = layers.Dense(logit_count(classes), kernel_regularizer=kernel, name="logits")(x)
    return keras.Model(features, logits, name="head")


def start_from(head: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Give a linear head weights that stand for one logit per class, (c, classes) and (classes,).

    A head of two classes has the difference of theirs.
    """
    layer = head.get_layer("logits")
    if layer.units == 1:
        kernel, bias = (each[..., 1:] - each[..., :1] for each in (kernel, bias))
    layer.set_weights([kernel, bias])


def _regularizers(
    regularization: Regularization,
) -> tuple[keras.Regularizer | None, tuple[float, float] | None]:
    """Return the kernels' regularizer and the outputs' factors (l1, l2); None for factors of 0."""
    kernel = (regularization.kernel_l1, regularization.kernel_l2)
    activity = (regularization.activity_l1, regularization.activity_l2)
    regularizer = keras.regularizers.L1L2(*kernel) if any(kernel) else None
    return regularizer, activity if any(activity) else None


def load(spec: Head, feature_shape: tuple[int, ...], classes: int, file: Path) -> keras.Model:
    """Build the head with the weights that train_head saved."""
    head = build(spec, feature_shape, classes)
    weights.load(head, file)
    return head
