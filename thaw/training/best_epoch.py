"""The best epoch of a training, and the log of all."""

import keras
import numpy as np
from dvclive import Live

from thaw.training.losses import shares
from thaw.training.settings import Training

DIGITS = 6  # of every figure in the log


def brier(truth, logits):
    """Return the Brier score (n,) of logits (n, 1) or (n, k > 2) for the classes (n,), 0 to 2.

    The squared distance of the probabilities from the true class, summed over classes (Brier 1950),
    or from a mixed label: the share (n,) of the second of two classes, or shares (n, k).
    """
    if logits.shape[-1] == 1:
        return 2 * keras.ops.square(keras.ops.sigmoid(logits[:, 0]) - _of_second(truth, logits))
    distance = keras.ops.softmax(logits) - shares(truth, logits)
    return keras.ops.sum(keras.ops.square(distance), axis=-1)


def accuracy(truth, logits):
    """Return 1.0 where the answer is right, else 0.0, (n,); the arguments are as for `brier`.

    Of a mixed label the class with the largest share is right.
    """
    if logits.shape[-1] == 1:
        right = keras.ops.equal(logits[:, 0] > 0, _of_second(truth, logits) > 0.5)
    else:
        answer, label = (keras.ops.argmax(each, -1) for each in (logits, shares(truth, logits)))
        right = keras.ops.equal(answer, label)
    return keras.ops.cast(right, logits.dtype)


def _of_second(truth, logits):
    return keras.ops.cast(keras.ops.reshape(truth, (-1,)), logits.dtype)


class BestEpoch(keras.callbacks.Callback):
    """Log each epoch, keep the weights of the lowest Brier score, and stop after `patience`.

    The loss would take a network that is right more often, but too sure where it is wrong, for a
    worse one; the temperature of `calibrate` takes that back.

    `scores`: epoch (0 is before the first), loss, accuracy and brier on validation, rounded.
    `rows`: what was logged, of the start and of each epoch. It stands in for Keras' EarlyStopping,
    which cannot count the start as an epoch: with its `baseline` it may go on past its patience,
    and restores weights that are worse than those of the start.
    """

    def __init__(self, live: Live, settings: Training):
        super().__init__()
        self.live, self.epochs, self.patience = live, settings.epochs, settings.patience
        self.scores: dict[str, float] = {}
        self.weights: list[np.ndarray] = []
        self.rows: list[dict[str, float]] = []

    @property
    def epoch(self) -> int:
        """How many epochs have ended."""
        return len(self.rows) - 1

    @property
    def has_ended(self) -> bool:
        """Whether so many epochs were no better that training ends."""
        return self.epoch - self.scores["epoch"] >= self.patience

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._log({name: round(float(value), DIGITS) for name, value in logs.items()})
        logs = self.rows[-1]
        if not self.scores or logs["val_brier"] < self.scores["brier"]:
            self.weights = self.model.get_weights()
            names = "accuracy", "brier", "loss"
            self.scores = {"epoch": self.epoch} | {name: logs[f"val_{name}"] for name in names}
        self.model.stop_training = self.has_ended

    def resume(self, rows: list[dict], scores: dict, weights: list[np.ndarray]) -> None:
        """Take over what an interrupted training logged and found."""
        for row in rows:
            self._log(row)
        self.scores, self.weights = scores, weights

    def _log(self, row: dict[str, float]) -> None:
        self.live.step = len(self.rows)
        self.rows.append(row)
        for name, value in sorted(row.items()):
            part = "validation" if name.startswith("val_") else "train"
            self.live.log_metric(f"{part}/{name.removeprefix('val_')}", value)
        line = "  ".join(f"{name} {value:.4f}" for name, value in row.items())
        print(f"epoch {self.epoch}/{self.epochs}  {line}", flush=True)
