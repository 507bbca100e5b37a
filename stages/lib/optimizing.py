"""How a network learns: the optimizer, its step size over time, and the loss."""

from typing import Annotated, Literal, NamedTuple

import keras
import numpy as np
from keras.optimizers import schedules
from pydantic import Field, model_validator
from sklearn.utils.class_weight import compute_class_weight

from stages.lib.errors import UserError
from stages.lib.params import Section

MOMENTUM = 0.9  # of SGD, as nearly everywhere
EXPONENTIAL_END = 0.01  # of the step size, after all epochs
PLATEAU_FACTOR = 0.1


class Optimizing(Section):
    """The step: the keys that train_head and fine_tune share."""

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    schedule: Literal["constant", "cosine", "exponential", "reduce_on_plateau"]
    warmup: Annotated[float, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0, lt=1)]
    clip_norm: Annotated[float, Field(gt=0)] | None

    @model_validator(mode="after")
    def _one_who_changes_the_rate(self) -> "Optimizing":
        if self.warmup and self.schedule == "reduce_on_plateau":
            raise ValueError("warmup should be 0 with schedule reduce_on_plateau")
        return self


class Loss(Section):
    """What is minimised, by the head and by fine-tuning alike."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[float, Field(gt=0)]]


@keras.saving.register_keras_serializable("thaw")
class WarmUp(schedules.LearningRateSchedule):
    """Rise from 0 to the begin of another schedule in `steps` steps, then follow that.

    Goyal and others 2017, arXiv:1706.02677.
    """

    def __init__(self, then: schedules.LearningRateSchedule, steps: int):
        super().__init__()
        self.then, self.steps = then, steps

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rising = self.then(0) * (step + 1) / self.steps
        return keras.ops.where(step < self.steps, rising, self.then(step - self.steps))

    def get_config(self) -> dict:
        return {"then": schedules.serialize(self.then), "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict) -> "WarmUp":
        return cls(schedules.deserialize(config["then"]), config["steps"])


class Pace(NamedTuple):
    """How one weight learns: times the step size, and not at all before a step."""

    factor: float
    first_step: int


class _AtPaces:
    """Makes any of Keras' optimizers take each weight at a pace of its own.

    `paces` are in the order of the trainable weights. Keras' optimizers have one step size for all.
    """

    paces: list[Pace]

    def _apply_weight_decay(self, variables):
        """Nothing: update_step does it, where the pace is known."""

    def update_step(self, gradient, variable, learning_rate):
        pace = self.paces[self._get_variable_index(variable)]
        began = keras.ops.cast(self.iterations >= pace.first_step, variable.dtype)
        rate = keras.ops.cast(learning_rate, variable.dtype) * pace.factor * began
        if self.weight_decay:
            self.assign_sub(variable, variable * (self.weight_decay * rate))
        super().update_step(gradient, variable, rate)


def optimizer(
    settings: Optimizing, epochs: int, steps: int, paces: list[Pace] | None = None
) -> keras.optimizers.Optimizer:
    """Return the optimizer for at most `epochs` epochs of `steps` steps each.

    SGD has a momentum of 0.9. weight_decay is decoupled (Loshchilov and Hutter 2019,
    arXiv:1711.05101) in all of them. With clip_norm the gradient of all weights together is no
    longer than that. `paces`: one for each trainable weight, in their order; None for all the same.
    """
    options = {"global_clipnorm": settings.clip_norm, "weight_decay": settings.weight_decay or None}
    if settings.optimizer == "sgd":
        options["momentum"] = MOMENTUM
    if settings.optimizer == "adamw":
        options["weight_decay"] = settings.weight_decay  # its own default is not 0
    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }
    kind, rate = kinds[settings.optimizer], learning_rate(settings, epochs, steps)
    if paces is None:
        return kind(rate, **options)
    return type(kind.__name__, (_AtPaces, kind), {"paces": paces})(rate, **options)


def learning_rate(settings: Optimizing, epochs: int, steps: int):
    """Return the step size: a number, or a schedule over the epochs after the warm-up.

    cosine falls to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts), exponential
    to a hundredth; reduce_on_plateau is a number, which a callback changes.
    """
    rate, warmup = settings.learning_rate, round(settings.warmup * steps)
    left = max(1, epochs * steps - warmup)
    if settings.schedule == "cosine":
        after = schedules.CosineDecay(rate, left)
    elif settings.schedule == "exponential":
        after = schedules.ExponentialDecay(rate, left, EXPONENTIAL_END)
    elif warmup and settings.schedule == "constant":
        after = schedules.ExponentialDecay(rate, left, 1.0)
    else:
        return rate
    return WarmUp(after, warmup) if warmup else after


def callbacks(settings: Optimizing, patience: int) -> list[keras.callbacks.Callback]:
    """Return what changes the step size while training: a tenth after half the patience."""
    if settings.schedule != "reduce_on_plateau":
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            "val_loss", PLATEAU_FACTOR, patience=max(1, patience // 2), min_delta=0.0
        )
    ]


class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits (n, k) with classes (n,), `smoothing` of each spread over all.

    Szegedy and others 2016, arXiv:1512.00567. Keras has it for one-hot classes only.
    """

    def __init__(self, smoothing: float, **options):
        super().__init__(name="loss", **options)
        self.smoothing = smoothing

    def call(self, truth, logits):
        truth = keras.ops.one_hot(keras.ops.reshape(truth, (-1,)), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            truth, logits, from_logits=True, label_smoothing=self.smoothing
        )


def loss(settings: Loss, logits: int) -> keras.losses.Loss:
    """Return the cross-entropy for logits (n, 1) of two classes or (n, k > 2)."""
    smoothing = settings.label_smoothing
    if logits == 1:
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    if smoothing:
        return SmoothedCrossentropy(smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def class_weights(settings: Loss, truth: np.ndarray, names: list[str]) -> dict[int, float] | None:
    """Return the weight of each class in the loss of training pictures, or None for none.

    `truth`: int (n,), the training rows' classes; `names`: of all classes in order. "balanced"
    gives n / (k * n_c), so that each class weighs the same in sum. Raises UserError when given
    weights are not for just these classes.
    """
    if settings.class_weights == "none":
        return None
    if settings.class_weights == "balanced":
        classes = np.arange(len(names))
        weights = compute_class_weight("balanced", classes=classes, y=truth)
        return {int(index): float(weight) for index, weight in zip(classes, weights)}
    odd = sorted(set(settings.class_weights) ^ set(names))
    if odd:
        raise UserError(
            f"params.yaml [loss.class_weights]: {odd[0]!r} is missing, or is no class; give each "
            f"of {', '.join(names)} a weight"
        )
    return {index: settings.class_weights[name] for index, name in enumerate(names)}
