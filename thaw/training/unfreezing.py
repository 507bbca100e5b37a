"""Unfreeze the top of the backbone: which layers train, and each at which learning rate."""

import re

import keras
from keras import layers

from thaw.project.errors import UserError
from thaw.training import layer_blocks
from thaw.training.optimizers import LearningRateMultiplier
from thaw.training.settings import UNFREEZE_FORMS, FineTune

KEY = "fine_tune.unfreeze"
OURS = ("preprocess", "resize")  # layers that we put in front of a published network's


def unfreeze(backbone: keras.Model, amount: str | int | float) -> int:
    """Make the top layers of the backbone trainable and all others not; return the first's index.

    `amount`: "all", a fraction or a count of layers, "N blocks" (of the top), "from N" or a layer's
    name (it and all above). N counts from the input, which is layer 0, as in keras.applications.
    BatchNormalization stays frozen everywhere, which in Keras 3.15.1 takes `trainable = False` on
    each such layer: `training=False` at the call is ignored by `fit` once the base is trainable.
    Frozen layers drop nothing any more (EfficientNet's would, whether trainable or not).
    The model must be compiled afterwards. Raises UserError when there is no such layer,
    or when nothing would be unfrozen.
    """
    first = _first_trainable(backbone, amount)
    backbone.trainable = True
    for index, layer in enumerate(backbone.layers):
        layer.trainable = index >= first
        for inner in layer._flatten_layers():  # of a preset's block all that is in it
            if isinstance(inner, layers.BatchNormalization):
                inner.trainable = False
            if index < first and isinstance(inner, layers.Dropout):
                inner.rate = 0.0
    if not backbone.trainable_weights:
        raise UserError(
            f"{amount!r} unfreezes no weights of {backbone.name}, since its last layers have none "
            "that train",
            KEY,
            "give more layers or a fraction",
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
    if amount in names:
        return names.index(amount)
    if isinstance(amount, float):
        return len(names) - max(round(amount * len(names)), 1)
    if isinstance(amount, int):
        return len(names) - _at_most(amount, len(names), "layers", backbone)
    if given := re.fullmatch(r"(\d+) blocks?", amount):
        firsts = [block[0].name for block in layer_blocks.of(backbone)]
        return names.index(firsts[-_at_most(int(given[1]), len(firsts), "blocks", backbone)])
    if given := re.fullmatch(r"from (\d+)", amount):
        published = [name for name in names if name not in OURS]
        last = len(published) - 1
        return names.index(published[_at_most(int(given[1]), last, "layers", backbone)])
    raise UserError(
        f"{backbone.name} has no layer {amount!r}",
        KEY,
        f"give {UNFREEZE_FORMS} (the last three are {', '.join(names[-3:])})",
    )


def _at_most(number: int, most: int, what: str, backbone: keras.Model) -> int:
    if not 0 < number <= most:
        raise UserError(
            f"{number} of {most} {what} in {backbone.name} are not there",
            KEY,
            f"give 1 to {most}, or 'all'",
        )
    return number


def multipliers(
    joined: keras.Model, backbone: keras.Model, settings: FineTune, steps: int
) -> list[LearningRateMultiplier] | None:
    """Return how each trainable weight learns, in their order, or None when all learn alike.

    The head learns at the full learning rate from the first step. The n-th block from the top
    learns layer_decay ** n times as fast (discriminative fine-tuning), from epoch (n - 1) *
    epochs_per_block on, of `steps` steps each (gradual unfreezing); both are of Howard and Ruder
    2018, arXiv:1801.06146. Raises UserError when the last block would not begin at all.
    """
    if settings.layer_decay == 1 and not settings.epochs_per_block:
        return None
    depths = {
        id(weight): depth
        for depth, block in enumerate(reversed(layer_blocks.of(backbone)), 1)
        for layer in block
        for weight in layer.trainable_weights
    }
    last = (max(depths.values()) - 1) * settings.epochs_per_block
    if last >= settings.epochs:
        raise UserError(
            f"the last of {max(depths.values())} blocks begins after {last} epochs, and there are "
            f"{settings.epochs}",
            "fine_tune.epochs_per_block",
            "raise fine_tune.epochs or unfreeze less",
        )
    of_weights = [depths.get(id(weight), 0) for weight in joined.trainable_weights]
    each = settings.epochs_per_block * steps
    return [
        LearningRateMultiplier(settings.layer_decay**depth, max(0, depth - 1) * each)
        for depth in of_weights
    ]
