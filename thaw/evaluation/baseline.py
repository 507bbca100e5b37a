"""What the frozen features are worth at once: nearest neighbours and a ridge probe.

Both take a second or two and have nothing to tune. What takes longer, and fine-tuning above all,
must beat them.
"""

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer

from thaw.data import manifest

NEIGHBOURS, TEMPERATURE = 20, 0.07  # as Caron and others 2021 (DINO), arXiv:2104.14294
STRENGTHS = (0.03, 0.1, 0.3, 1, 3)  # of the ridge probe, for features of length 1
MOST = 10_000  # training images; of more, as many of each class. So many are asked at a time


def predict(
    features: np.ndarray, classes: np.ndarray, train: np.ndarray, asked: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what each probe, fitted to the rows `train`, says of the rows `asked`: int (m,).

    features: float (n, channels); classes: int (n,); train and asked: int rows of both.
    """
    fitted = train[manifest.first_of_each_class(classes[train], MOST)]
    known = np.asarray(features[fitted], "float64")
    probes = {"neighbours": _neighbours(len(fitted)), "ridge": _ridge()}
    for probe in probes.values():
        probe.fit(known, classes[fitted])
    said = {name: [np.empty(0, classes.dtype)] for name in probes}
    for start in range(0, len(asked), MOST):
        wanted = np.asarray(features[asked[start : start + MOST]], "float64")
        for name, probe in probes.items():
            said[name].append(probe.predict(wanted))
    return {name: np.concatenate(parts) for name, parts in said.items()}


def _neighbours(images: int) -> Pipeline:
    """The nearest by cosine vote, each with the weight exp(cosine / TEMPERATURE)."""

    def weights(distances: np.ndarray) -> np.ndarray:  # of rows of length 1: 2 - 2 cosine, rooted
        return np.exp(-(distances**2) / 2 / TEMPERATURE)

    return make_pipeline(
        Normalizer(), KNeighborsClassifier(min(NEIGHBOURS, images), weights=weights)
    )


def _ridge() -> Pipeline:
    """Least squares of -1 and 1 for each class on features of length 1, in closed form.

    Of STRENGTHS the one with the least squared error when each image is left out in turn.
    """
    return make_pipeline(Normalizer(), RidgeClassifierCV(STRENGTHS))
