"""Thaw the top of a joined network, and make sure that it starts where the head left off."""

import re
from typing import Annotated, Literal, NamedTuple

import keras
import numpy as np
from keras import layers
from pydantic import AfterValidator, Field

from stages.lib import blocks
from stages.lib.errors import UserError
from stages.lib.heads import Head
from stages.lib.optimizing import Pace
from stages.lib.training import Training

# Of logits, relative to the largest, by the coarsest numbers on the way. Paths in float32 differ by
# about 1e-6, float16 has 11 bits, bfloat16 8.
PARITY_TOLERANCE = {"float32": 1e-3, "float16": 0.01, "bfloat16": 0.1}


FORMS = (
    "'all', a fraction in (0, 1], a count of layers, 'N blocks', 'from N' (a layer's index) or a "
    "layer's name"
)


def _check_unfreeze(value: str | int | float) -> str | int | float:
    if isinstance(value, bool) or (isinstance(value, float) and not 0 < value <= 1):
        raise ValueError(f"should be {FORMS}")
    if isinstance(value, int) and value < 1:
        raise ValueError("should be a count of at least 1 layer")
    return value


class FineTune(Training):
    """What to train of the backbone, and how."""

    unfreeze: Annotated[
        str | int | float, Field(union_mode="smart"), AfterValidator(_check_unfreeze)
    ]
    block_decay: Annotated[float, Field(gt=0, le=1)]
    epochs_per_block: Annotated[int, Field(ge=0)]
    cache_trunk: Literal["auto", "never"]
    trunk_views: Annotated[int, Field(ge=1, le=100)]
    trunk_dtype: Literal["float32", "float16"]
    trunk_gigabytes: Annotated[float, Field(gt=0)]


class Network(NamedTuple):
    """The joined network and its parts, which share their layers, thawed from layer `first` on.

    features: of all pictures, float32 (n, ...), and made_with, their fingerprint.
    """

    backbone: keras.Model
    head: keras.Model
    head_spec: Head
    joined: keras.Model
    first: int
    features: np.ndarray
    made_with: dict


def unfreeze(backbone: keras.Model, amount: str | int | float) -> int:
    """Make the top layers of the backbone trainable and all others not; return the first's index.

    `amount`: "all", a fraction or a count of layers, "N blocks" (of the top), "from N" or a layer's
    name (it and all above). N counts from the input, which is layer 0, as in keras.applications.
    BatchNormalization stays frozen everywhere, which in Keras 3.15.1 takes `trainable = False` on
    each such layer: `training=False` at the call is ignored by `fit` once the base is trainable.
    Frozen layers drop nothing any more (EfficientNet's would, whether trainable or not).
    The model must be compiled afterwards. Raises UserError when there is no such layer,
    or when nothing would be thawed.
    """
    first = _first_trainable(backbone, amount)
    backbone.trainable = True
    for index, layer in enumerate(backbone.layers):
        is_norm = isinstance(layer, layers.BatchNormalization)
        layer.trainable = index >= first and not is_norm
        if index < first and isinstance(layer, layers.Dropout):
            layer.rate = 0.0
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
    if amount in names:
        return names.index(amount)
    if isinstance(amount, float):
        return len(names) - max(round(amount * len(names)), 1)
    if isinstance(amount, int):
        return len(names) - _at_most(amount, len(names), "layers", backbone)
    if given := re.fullmatch(r"(\d+) blocks?", amount):
        firsts = [block[0].name for block in blocks.of(backbone)]
        return names.index(firsts[-_at_most(int(given[1]), len(firsts), "blocks", backbone)])
    if given := re.fullmatch(r"from (\d+)", amount):
        published = [name for name in names if name != "preprocess"]  # which we put in front
        last = len(published) - 1
        return names.index(published[_at_most(int(given[1]), last, "layers", backbone)])
    raise UserError(
        f"params.yaml [fine_tune.unfreeze]: {backbone.name} has no layer {amount!r}; give {FORMS} "
        f"(the last three are {', '.join(names[-3:])})"
    )


def _at_most(number: int, most: int, what: str, backbone: keras.Model) -> int:
    if not 0 < number <= most:
        raise UserError(
            f"params.yaml [fine_tune.unfreeze]: {number} of {most} {what} in {backbone.name} are "
            f"not there; give 1 to {most}, or 'all'"
        )
    return number


def paces(
    joined: keras.Model, backbone: keras.Model, settings: FineTune, steps: int
) -> list[Pace] | None:
    """Return how each trainable weight learns, in their order, or None when all learn alike.

    The head learns at the full step size from the first step. The n-th block from the top learns
    block_decay ** n times as fast (discriminative fine-tuning), from epoch (n - 1) *
    epochs_per_block on, of `steps` steps each (gradual unfreezing); both are of Howard and Ruder
    2018, arXiv:1801.06146. Raises UserError when the last block would not begin at all.
    """
    if settings.block_decay == 1 and not settings.epochs_per_block:
        return None
    depths = {
        id(weight): depth
        for depth, block in enumerate(reversed(blocks.of(backbone)), 1)
        for layer in block
        for weight in layer.trainable_weights
    }
    last = (max(depths.values()) - 1) * settings.epochs_per_block
    if last >= settings.epochs:
        raise UserError(
            f"params.yaml [fine_tune.epochs_per_block]: the last of {max(depths.values())} blocks "
            f"begins after {last} epochs, and there are {settings.epochs}; raise fine_tune.epochs "
            "or thaw less"
        )
    of_weights = [depths.get(id(weight), 0) for weight in joined.trainable_weights]
    each = settings.epochs_per_block * steps
    return [Pace(settings.block_decay**depth, max(0, depth - 1) * each) for depth in of_weights]


def check_parity(
    model: keras.Model,
    head: keras.Model,
    inputs: np.ndarray,
    features: np.ndarray,
    mend: str,
    *coarse: str,
) -> float:
    """Compare a network on its inputs with the head on the cached features of the same rows.

    `inputs`: pixels for the joined network, activations for its top; `coarse`: what numbers other
    than float32 are on the way; `mend`: the cause and what to do, for the message. Returns the
    largest difference of logits, relative to the largest logit. Raises UserError when it passes the
    tolerance: then inputs, features and network do not belong together.
    """
    inputs, features = (np.asarray(each, "float32") for each in (inputs, features))
    got, expected = (
        np.asarray(net(x, training=False)) for net, x in ((model, inputs), (head, features))
    )
    difference = float(np.abs(got - expected).max() / max(1.0, np.abs(expected).max()))
    tolerance = max(PARITY_TOLERANCE[precision] for precision in ("float32", *coarse))
    if not difference <= tolerance:
        raise UserError(
            f"the network and the head on cached features differ by {difference:.2g} "
            f"(tolerance {tolerance:g}): {mend}"
        )
    return difference
