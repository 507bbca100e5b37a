"""Thaw the top of a joined network, and make sure that it starts where the head left off."""

from typing import Annotated

import keras
import numpy as np
from keras import layers
from pydantic import AfterValidator, Field

from stages.lib.errors import UserError
from stages.lib.training import Training

PARITY_TOLERANCE = 1e-3  # of logits, relative to the largest; float32 paths differ by about 1e-6


def _check_unfreeze(value: str | int | float) -> str | int | float:
    if isinstance(value, bool) or (isinstance(value, float) and not 0 < value <= 1):
        raise ValueError(
            "should be 'all', a layer's name, a count of layers or a fraction in (0, 1]"
        )
    if isinstance(value, int) and value < 1:
        raise ValueError("should be a count of at least 1 layer")
    return value


class FineTune(Training):
    """What to train of the backbone, and how."""

    unfreeze: Annotated[
        str | int | float, Field(union_mode="smart"), AfterValidator(_check_unfreeze)
    ]


def unfreeze(backbone: keras.Model, amount: str | int | float) -> int:
    """Make the top layers of the backbone trainable and all others not; return the first's index.

    `amount`: "all", a layer's name (it and all above), a count of layers, or a fraction of them.
    BatchNormalization stays frozen everywhere, which in Keras 3.15.1 takes `trainable = False` on
    each such layer: `training=False` at the call is ignored by `fit` once the base is trainable.
    The model must be compiled afterwards. Raises UserError when there is no such layer,
    or when nothing would be thawed.
    """
    first = _first_trainable(backbone, amount)
    backbone.trainable = True
    for index, layer in enumerate(backbone.layers):
        is_norm = isinstance(layer, layers.BatchNormalization)
        layer.trainable = index >= first and not is_norm
    if not backbone.trainable_weights:
        raise UserError(
            f"params.yaml [fine_tune.unfreeze]: {amount!r} thaws no weights of {backbone.name}, "
            "since its last layers have none that train; give more layers or a fraction"
        )
    return first


def freeze_normalization(head: keras.Model) -> None:
    """Keep the head's BatchNormalization as it is, too; before compiling."""
    for layer in head.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def _first_trainable(backbone: keras.Model, amount: str | int | float) -> int:
    names = [layer.name for layer in backbone.layers]
    if amount == "all":
        return 0
    if isinstance(amount, str):
        if amount not in names:
            last = ", ".join(names[-3:])
            raise UserError(
                f"params.yaml [fine_tune.unfreeze]: {backbone.name} has no layer {amount!r}; "
                f"give 'all', a fraction, a count or a name (the last three are {last})"
            )
        return names.index(amount)
    count = round(amount * len(names)) if isinstance(amount, float) else amount
    if count > len(names):
        raise UserError(
            f"params.yaml [fine_tune.unfreeze]: {amount} layers asked for, {backbone.name} has "
            f"{len(names)}; use 'all'"
        )
    return len(names) - max(count, 1)


def check_parity(
    joined: keras.Model, head: keras.Model, pixels: np.ndarray, features: np.ndarray
) -> float:
    """Compare the joined network on pixels with the head on the cached features of the same rows.

    Returns the largest difference of logits, relative to the largest logit. Raises UserError when
    it passes the tolerance: then features and network do not belong together.
    """
    expected, got = head.predict_on_batch(features), joined.predict_on_batch(pixels)
    difference = float(np.abs(got - expected).max() / max(1.0, np.abs(expected).max()))
    if not difference <= PARITY_TOLERANCE:
        raise UserError(
            f"the joined network and the head on cached features differ by {difference:.2g} "
            f"(tolerance {PARITY_TOLERANCE:g}): the features are not of this backbone; run "
            "`dvc repro --force extract`"
        )
    return difference
