"""How like one another images are: the cosine of the angle between their features."""

from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import normalize
from tqdm import tqdm

NEAREST = 10  # images that vote
OWN = 5  # images of the class that an image is compared with
BLOCK = 256  # images compared with all others at once


class Likeness(NamedTuple):
    """What the images most like each image are, for n images of k classes.

    votes: float (n, k), the fraction of each class among the NEAREST ones of other groups. own:
    float (n,), the mean similarity to the OWN nearest ones of its class and of other groups, NaN
    where there is none. other: int (n,), the one of another class that is most like it, and
    other_similarity, float (n,).
    """

    votes: np.ndarray
    own: np.ndarray
    other: np.ndarray
    other_similarity: np.ndarray


def compare(features: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> Likeness:
    """Compare images by features float32 (n, channels), with class and group int (n,), n > 1."""
    directions, count = normalize(features), classes.max() + 1
    parts = []
    for start in tqdm(range(0, len(classes), BLOCK), desc="compare", disable=None):
        rows = slice(start, start + BLOCK)
        similar = directions[rows] @ directions.T
        own_class = classes[rows, None] == classes
        elsewhere = np.where(own_class, -np.inf, similar)
        other = elsewhere.argmax(axis=1)
        best = np.take_along_axis(elsewhere, other[:, None], axis=1)[:, 0]
        similar[groups[rows, None] == groups] = -np.inf
        votes = _votes(similar, classes, count)
        own = _mean_of_largest(np.where(own_class, similar, -np.inf))
        parts.append((votes, own, other, best))
    return Likeness(*(np.concatenate(each) for each in zip(*parts)))


def _votes(similar: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    nearest = _largest(similar, NEAREST)
    counted = np.isfinite(np.take_along_axis(similar, nearest, axis=1))
    votes = np.zeros((len(similar), count))
    np.add.at(votes, (np.arange(len(similar))[:, None], classes[nearest]), counted)
    return votes / np.maximum(counted.sum(axis=1, keepdims=True), 1)


def _mean_of_largest(similar: np.ndarray) -> np.ndarray:
    values = np.take_along_axis(similar, _largest(similar, OWN), axis=1).astype(float)
    values[np.isinf(values)] = np.nan
    counts = np.isfinite(values).sum(axis=1)
    return np.where(counts, np.nansum(values, axis=1) / np.maximum(counts, 1), np.nan)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the `count` largest of each row, in no order."""
    count = min(count, values.shape[1])
    return np.argpartition(-values, count - 1, axis=1)[:, :count]
