"""Whether asked images look like the training images, by a two-sample test on frozen features.

An image is as unlike as its distance to the NEIGHBOURS-th nearest training image says, among those
of the validation images whose nearest training image has the same class. So a folder of one class
does not look unlike for that alone. The asked images' ranks there are compared with the validation
images' own by the Mann-Whitney test (Mann and Whitney 1947), one-sided.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu

from thaw.features import arrays
from tools.serving.neighbours import TrainingImages

NEIGHBOURS = 10
AT_ONCE = 64  # images
UNLIKE = 0.01  # p values under it are hardly chance
FAR = 0.95  # of the validation images are nearer than what is called far


class Distances(NamedTuple):
    """Of each image: its distance, 1 - cosine, and the class of the nearest training image."""

    values: np.ndarray
    labels: np.ndarray


class Comparison:
    """Takes images as they pass, and says at the end whether they look like the training images."""

    def __init__(self, training: TrainingImages):
        self.training = training
        self.validation = distances(training, training.validation)
        self._waiting: list[np.ndarray] = []
        self._ranks: list[np.ndarray] = []

    def note(self, features: np.ndarray) -> None:
        """Take an image's features, float32 (channels,)."""
        self._waiting.append(features)
        if len(self._waiting) == AT_ONCE:
            self._rank()

    def _rank(self) -> None:
        found = distances(self.training, arrays.directions(np.array(self._waiting)))
        self._ranks.append(ranks(found, self.validation))
        self._waiting = []

    def line(self) -> str:
        """Say of all images that were noted whether they look like the training images."""
        if self._waiting:
            self._rank()
        if not self._ranks:
            return "no valid image to compare with the training images"
        asked, own = np.concatenate(self._ranks), ranks(self.validation, self.validation)
        p_value = float(mannwhitneyu(asked, own, alternative="greater").pvalue)
        count = f"{len(asked):,} image{'s' * (len(asked) > 1)}"
        if p_value >= UNLIKE:
            return f"like the training images, as far as {count} can tell (p = {p_value:.2g})"
        far = (asked > FAR).mean()
        return (
            f"UNLIKE the training images (p = {p_value:.2g}): {far:.0%} of {count} are further "
            f"from them than {FAR:.0%} of the validation images"
        )


def distances(training: TrainingImages, directions: np.ndarray) -> Distances:
    """Return the distances of images, float32 (n, channels) of length 1."""
    values, labels = [], []
    of_class = training.rows["label"].to_numpy()
    # In a smaller class the neighbours would be of others, and images between two would be nearest.
    count = min(NEIGHBOURS, training.rows["label"].value_counts().min())
    for start in range(0, len(directions), AT_ONCE):
        similar = directions[start : start + AT_ONCE] @ training.directions.T
        values.append(1 - np.partition(similar, -count, axis=1)[:, -count])
        labels.append(of_class[similar.argmax(axis=1)])
    return Distances(np.concatenate(values), np.concatenate(labels))


def ranks(asked: Distances, validation: Distances) -> np.ndarray:
    """Return the part of the validation images, 0 to 1, that are nearer than each asked image.

    Of those near the same class; equal ones count half. Where there are none, all count.
    """
    found = np.empty(len(asked.values))
    for label in np.unique(asked.labels):
        rows = asked.labels == label
        same = validation.labels == label
        known = np.sort(validation.values[same if same.any() else slice(None)])
        both = [np.searchsorted(known, asked.values[rows], side) for side in ("left", "right")]
        found[rows] = np.mean(both, axis=0) / len(known)
    return found
