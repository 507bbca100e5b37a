"""What is minimised: the cross-entropy, and how much each class counts."""

import keras
import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from thaw.project.errors import UserError
from thaw.training.settings import Loss


def shares(truth, logits):
    """Return the share of each class in labels, (n, k): of classes (n,), or of shares themselves.

    `logits`: (n, k > 2).
    """
    if len(truth.shape) == 2 and truth.shape[-1] == logits.shape[-1]:
        return keras.ops.cast(truth, logits.dtype)
    truth = keras.ops.reshape(truth, (-1,))
    return keras.ops.one_hot(truth, logits.shape[-1], dtype=logits.dtype)


class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits (n, k) and `shares`, `smoothing` of each label spread over all.

    Szegedy and others 2016, arXiv:1512.00567. Keras has it for one-hot classes only.
    """

    def __init__(self, smoothing: float, **options):
        super().__init__(name="loss", **options)
        self.smoothing = smoothing

    def call(self, truth, logits):
        return keras.losses.categorical_crossentropy(
            shares(truth, logits), logits, from_logits=True, label_smoothing=self.smoothing
        )


def build(settings: Loss, logits: int, mixed: bool = False) -> keras.losses.Loss:
    """Return the cross-entropy for logits (n, 1) of two classes or (n, k > 2).

    `mixed`: whether labels may be shares of several classes, as `mixing` gives them.
    """
    smoothing = settings.label_smoothing
    if logits == 1:
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    if smoothing or mixed:
        return SmoothedCrossentropy(smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def class_weights(settings: Loss, truth: np.ndarray, names: list[str]) -> dict[int, float] | None:
    """Return the weight of each class in the loss of training images, or None for none.

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
    quotes = " ('007' in quotes stays what it is)" if any(map(str.isdigit, names)) else ""
    odd = sorted(set(settings.class_weights) ^ set(names))
    if odd:
        raise UserError(
            f"{odd[0]!r} is {'missing' if odd[0] in names else 'no class'}",
            "loss.class_weights",
            f"give each of {', '.join(names)} a weight{quotes}",
        )
    return {index: settings.class_weights[name] for index, name in enumerate(names)}
