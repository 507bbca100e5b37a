"""Prediction sets: the classes that hold the right one with a chosen frequency.

Split conformal prediction (Vovk and others 2005) with the adaptive score of Romano and others 2020,
"Classification with Valid and Adaptive Coverage", arXiv:2006.02544: how much probability the
classes have that are likelier. There it is drawn at random within the class's own probability; here
that is left out, as the sets of Angelopoulos and others 2021, arXiv:2009.14193, allow, so that an
image always has the same set and none is empty.
"""

import numpy as np

from thaw.calibration import quantile

STATED = 0.95  # the coverage that evaluate reports


def scores(probabilities: np.ndarray) -> np.ndarray:
    """Return for each class the probability of all likelier ones, float64 (n, k), in [0, 1)."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(np.asarray(probabilities, "float64"), order, axis=1)
    found = np.empty(ranked.shape)
    np.put_along_axis(found, order, np.cumsum(ranked, axis=1) - ranked, axis=1)
    return found


def limit(truth: np.ndarray, probabilities: np.ndarray, coverage: float) -> float:
    """Return the score up to which a class is in the set, so that of new images at least the
    fraction `coverage`, in (0, 1), has its right class there.

    truth: int (m,), the classes of validation images; probabilities: theirs, (m, k), calibrated.
    Infinite, for all classes, where there are too few images to say. The same images chose the
    epoch and the temperature, so a little less may be reached.
    """
    return quantile.upper(scores(probabilities)[np.arange(len(truth)), truth], coverage)


def members(probabilities: np.ndarray, found: float) -> np.ndarray:
    """Return which classes are in the sets of images, bool (n, k); the likeliest always is."""
    return scores(probabilities) <= found


def reached(truth: np.ndarray, probabilities: np.ndarray, found: float) -> dict[str, float]:
    """Return the coverage that sets reach on images of the classes int (n,), and the mean size."""
    inside = members(probabilities, found)
    return {
        "coverage": round(float(inside[np.arange(len(truth)), truth].mean()), 4),
        "mean_size": round(float(inside.sum(axis=1).mean()), 4),
    }
