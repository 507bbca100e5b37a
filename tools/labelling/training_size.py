"""How a score grows with the number of training images, and what more of them would bring.

The error is fitted by a power law with a floor, as measured learning curves mostly follow one
(Hestness and others 2017, "Deep Learning Scaling is Predictable, Empirically").
"""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import OptimizeWarning, curve_fit

RESAMPLES = 200
CONFIDENCE = 0.95
LATEST = 0.2  # fraction of the images from which on the slope of a class is taken


class Measured(NamedTuple):
    """What heads on growing parts of the training images say of the same images.

    images: ascending, of each part, int (parts,); of_class: the same by class, int (parts, k).
    truth: int (n,). predicted: int (parts, draws, n); all draws of a part have as many images.
    """

    images: np.ndarray
    of_class: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """The accuracy of each head, float64 (parts, draws)."""
        return (self.predicted == self.truth).mean(axis=2)


class PowerLaw(NamedTuple):
    """Error as floor + factor * images ** -exponent; all three are at least 0."""

    floor: float
    factor: float
    exponent: float

    def accuracy(self, images: np.ndarray | float) -> np.ndarray | float:
        return 1 - self.floor - self.factor * np.asarray(images, float) ** -self.exponent


class Forecast(NamedTuple):
    """The law, the accuracy gained by twice the images, and the bounds of that gain.

    laws: those of all resamples, for a band around the curve.
    """

    law: PowerLaw
    gain: float
    low: float
    high: float
    laws: list[PowerLaw]


def fit(measured: Measured) -> PowerLaw:
    """Fit the law to the mean accuracies, each weighted by how sure it is."""
    accuracy, draws, images = measured.accuracy, measured.predicted.shape[1], len(measured.truth)
    error = 1 - accuracy.mean(axis=1)
    variance = error * (1 - error) / images + accuracy.var(axis=1) / draws
    first = measured.images[0]

    def law(count, floor, at_first, exponent):  # all near 1, which the search needs
        return floor + at_first * (count / first) ** -exponent

    with warnings.catch_warnings(action="ignore", category=OptimizeWarning):
        (floor, at_first, exponent), _ = curve_fit(
            law, measured.images, error, p0=(error.min() / 2, error.max() / 2, 0.5),
            sigma=np.sqrt(np.maximum(variance, images**-2.0)), bounds=(0, (1, 1, 2)),
        )  # fmt: skip
    return PowerLaw(float(floor), float(at_first * first**exponent), float(exponent))


def forecast(measured: Measured, seed: int = 0) -> Forecast:
    """Return what twice the images would bring; bounds by resampling draws and scored images."""
    last = measured.images[-1]
    laws = [fit(each) for each in _resamples(measured, seed)]
    gains = [each.accuracy(2 * last) - each.accuracy(last) for each in laws]
    law = fit(measured)
    gain = float(law.accuracy(2 * last) - law.accuracy(last))
    return Forecast(law, gain, *_bounds(np.array(gains)), laws)


def by_class(measured: Measured, seed: int = 0) -> pd.DataFrame:
    """Return class (int), images, f1 and gain with low and high, those that gain most first.

    f1: of the class with all images. gain: its slope by doublings of the images from LATEST of them
    on; it is what twice the images bring as long as the curve goes on so.
    """
    gains = np.stack([_slopes(each) for each in _resamples(measured, seed)])
    low, high = _bounds(gains)
    found = {
        "class": np.arange(measured.of_class.shape[1]),
        "images": measured.of_class[-1],
        "f1": f1(measured)[-1],
        "gain": _slopes(measured),
        "low": low,
        "high": high,
    }
    order = {"by": ["gain", "class"], "ascending": [False, True], "ignore_index": True}
    return pd.DataFrame(found).sort_values(**order)


def f1(measured: Measured) -> np.ndarray:
    """Return the F1 of each class, the mean over draws, float64 (parts, k)."""
    classes = measured.of_class.shape[1]
    images = np.bincount(measured.truth, minlength=classes)
    found = np.zeros((*measured.predicted.shape[:2], classes))
    for place in np.ndindex(*found.shape[:2]):
        predicted = measured.predicted[place]
        right = np.bincount(measured.truth[predicted == measured.truth], minlength=classes)
        taken = np.bincount(predicted, minlength=classes)
        found[place] = 2 * right / np.maximum(images + taken, 1)
    return found.mean(axis=1)


def _slopes(measured: Measured) -> np.ndarray:
    """Return by how much the F1 of each class rises with each doubling, float64 (k,)."""
    latest = measured.images >= LATEST * measured.images[-1]
    doublings = np.log2(measured.images[latest])
    return np.polyfit(doublings, f1(measured)[latest], 1)[0]


def _resamples(measured: Measured, seed: int) -> list[Measured]:
    """Draw draws and scored images anew, with replacement."""
    random, found = np.random.default_rng(seed), []
    _, draws, images = measured.predicted.shape
    for _ in range(RESAMPLES):
        some, rows = random.integers(0, draws, draws), random.integers(0, images, images)
        predicted = measured.predicted[:, some][..., rows]
        found.append(measured._replace(truth=measured.truth[rows], predicted=predicted))
    return found


def _bounds(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
