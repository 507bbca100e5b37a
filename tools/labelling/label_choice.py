"""Which unlabelled images to label next: uncertain ones that are unlike one another.

Zhdanov 2019, "Diverse mini-batch Active Learning" (arXiv:1901.05954): of the images with the
smallest margins, those nearest to the centres of as many clusters as are to be labelled.
"""

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

SPARE = 5  # times as many uncertain images are clustered; docs/performance.md has other numbers
ROUNDS = 20  # of k-means


def margins(probabilities: np.ndarray) -> np.ndarray:
    """Return by how much the likeliest of k classes is ahead, 0..1, of probabilities (n, k)."""
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return first - second


def choose(probabilities: np.ndarray, features: np.ndarray, count: int) -> np.ndarray:
    """Return the rows of `count` images to label, or of all, the least certain first.

    `probabilities`: (n, k), k at least 2; `features`: (n, d), of length 1.
    """
    margin = margins(probabilities)
    order = np.argsort(margin, kind="stable")
    if count >= len(order):
        return order
    some = order[: SPARE * count]
    weights = 1 - margin[some] + 1e-6  # some weight for each, also where all are certain
    clusters = KMeans(count, n_init=1, max_iter=ROUNDS, random_state=0)
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # of equal images
        distances = clusters.fit_transform(features[some], sample_weight=weights)
    own = distances[np.arange(len(some)), clusters.labels_]
    nearest = np.lexsort((own, clusters.labels_))
    _, first = np.unique(clusters.labels_[nearest], return_index=True)
    chosen = np.sort(nearest[first])
    # Equal images leave clusters empty; the least certain of the others fill up.
    others = np.setdiff1d(np.arange(len(some)), chosen)[: count - len(chosen)]
    return some[np.sort(np.concatenate([chosen, others]))]
