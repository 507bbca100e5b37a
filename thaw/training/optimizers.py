"""How weights change: the optimizer and its learning rate over time."""

from typing import NamedTuple

import keras
from keras.optimizers import schedules

from thaw.training.settings import Training

MOMENTUM = 0.9  # of SGD, as nearly everywhere
EXPONENTIAL_END = 0.01  # of the learning rate, after all epochs
PLATEAU_FACTOR = 0.1


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


class LearningRateMultiplier(NamedTuple):
    """How one weight learns: times the learning rate, and not at all before a step."""

    factor: float
    first_step: int


class _WithMultipliers:
    """Makes any of Keras' optimizers take each weight at a learning rate of its own.

    `multipliers` are in the order of the trainable weights. Keras has one rate for all.
    """

    multipliers: list[LearningRateMultiplier]

    def _apply_weight_decay(self, variables):
        """Nothing: update_step does it, where the multiplier is known."""

    def update_step(self, gradient, variable, learning_rate):
        multiplier = self.multipliers[self._get_variable_index(variable)]
        began = keras.ops.cast(self.iterations >= multiplier.first_step, variable.dtype)
        rate = keras.ops.cast(learning_rate, variable.dtype) * multiplier.factor * began
        if self.weight_decay:
            self.assign_sub(variable, variable * (self.weight_decay * rate))
        super().update_step(gradient, variable, rate)


def build(
    settings: Training, steps: int, multipliers: list[LearningRateMultiplier] | None = None
) -> keras.optimizers.Optimizer:
    """Return the optimizer for epochs of `steps` steps each.

    SGD has a momentum of 0.9. weight_decay is decoupled (Loshchilov and Hutter 2019,
    arXiv:1711.05101) in all of them. With global_clipnorm the gradient of all weights together is
    no longer than that. `multipliers`: one for each trainable weight, in their order; None for the
    same rate everywhere. With averaging the optimizer keeps an exponential average of the weights.
    """
    options = {
        "global_clipnorm": settings.global_clipnorm,
        "weight_decay": settings.weight_decay or None,
    }
    if settings.averaging:
        options["use_ema"] = True
        options["ema_momentum"] = 1 - 1 / max(1.0, settings.averaging * steps)
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
    kind, rate = kinds[settings.optimizer], learning_rate(settings, steps)
    if multipliers is not None:
        kind = type(kind.__name__, (_WithMultipliers, kind), {"multipliers": multipliers})
    return kind(rate, **options)


def learning_rate(settings: Training, steps: int):
    """Return the learning rate: a number, or a schedule over the epochs after the warm-up.

    cosine falls to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts), exponential
    to a hundredth; reduce_on_plateau is a number, which a callback changes.
    """
    rate, warmup = settings.learning_rate, round(settings.warmup * steps)
    left = max(1, settings.epochs * steps - warmup)
    if settings.schedule == "cosine":
        after = schedules.CosineDecay(rate, left)
    elif settings.schedule == "exponential":
        after = schedules.ExponentialDecay(rate, left, EXPONENTIAL_END)
    elif warmup and settings.schedule == "constant":
        after = schedules.ExponentialDecay(rate, left, 1.0)
    else:
        return rate
    return WarmUp(after, warmup) if warmup else after


class AveragedWeights(keras.callbacks.Callback):
    """Puts the averaged weights in from a validation until the epoch has ended.

    So callbacks before this one see the average at the end of an epoch, and those behind it what
    trains on. Keras' SwapEMAWeights swaps by adding, which changes last digits.
    """

    def on_test_begin(self, logs=None):
        self._swap()

    def on_epoch_end(self, epoch, logs=None):
        self._swap()

    def _swap(self):
        averages = self.model.optimizer._model_variables_moving_average
        for variable, average in zip(self.model.trainable_variables, averages, strict=True):
            trained, averaged = variable.numpy(), average.numpy()
            variable.assign(averaged)
            average.assign(trained)


def averaging(settings: Training) -> list[keras.callbacks.Callback]:
    """Return what lets validation judge the averaged weights, if there are any."""
    return [AveragedWeights()] if settings.averaging else []


def callbacks(settings: Training) -> list[keras.callbacks.Callback]:
    """Return what changes the learning rate while training: a tenth after half the patience."""
    if settings.schedule != "reduce_on_plateau":
        return []
    patience = max(1, settings.patience // 2)
    return [
        keras.callbacks.ReduceLROnPlateau(
            "val_brier", PLATEAU_FACTOR, patience, mode="min", min_delta=0.0
        )
    ]
