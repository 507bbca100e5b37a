"""Selective prediction: which answers to give, and which to call "unsure".

Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks", arXiv:1705.08500.
"""

import math

import numpy as np
import pandas as pd

from thaw.project.errors import UserError


def risk_coverage(truth: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return the error among the surest images, for every number of them.

    truth: int (n,); probabilities: (n, k). Columns, with a row for each confidence that occurs,
    from the highest on: confidence, the lowest that is answered; coverage, the fraction of images
    that are, in (0, 1]; risk, the fraction of these that is misclassified.
    """
    order, answered, wrong = _accepted(truth, probabilities)
    table = {
        "confidence": order,
        "coverage": answered / len(truth),
        "risk": wrong / answered,
    }
    return pd.DataFrame(table)


def threshold(truth: np.ndarray, probabilities: np.ndarray, target: float) -> float:
    """Return the lowest confidence from which on the accuracy reaches `target`, in (0, 1).

    truth: int (n,); probabilities: (n, k). It is the largest probability of an image. One more
    image counts as answered and misclassified, so that a few images that happen to be correct do
    not suffice: a target of 0.99 takes 99 of them at least. Raises UserError where no confidence
    does.
    """
    order, answered, wrong = _accepted(truth, probabilities)
    accuracy = 1 - (wrong + 1) / (answered + 1)
    reached = np.flatnonzero(accuracy >= target - 1e-12)
    if not len(reached):
        least = math.ceil(target / (1 - target) - 1e-9)
        if least > len(truth):
            why = f"takes at least {least} validation images; there are {len(truth)}"
        else:
            why = f"is reached by no confidence on {len(truth)} validation images"
        raise UserError(
            f"an accuracy of {target:g} {why}",
            key="calibrate.target_accuracy",
            hint="lower it, or set it to null",
        )
    return float(order[reached[-1]])


def _accepted(
    truth: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each confidence that occurs, falling, and how many images are answered from it on,
    and how many of these are misclassified."""
    confidence = probabilities.max(axis=1)
    values, place = np.unique(-confidence, return_inverse=True)
    misclassified = probabilities.argmax(axis=1) != truth
    answered = np.bincount(place).cumsum()
    return -values, answered, np.bincount(place, misclassified).cumsum().astype(int)
