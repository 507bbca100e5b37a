"""Which labels are likely wrong, by what heads and images that are not of its group think of each.

The probabilities are the mean of two: those of a logistic regression that has not seen the image,
and the votes of the images most like it. On both sets of docs/performance.md the mean finds more
than either. Confident learning tells from them how many labels are wrong, and which (Northcutt,
Jiang and Chuang, JAIR 2021), as cleanlab does it.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from tools.experiments.folds import cut

FOLDS, SEED = 5, 0
C = 0.001  # strongly regularized: a head that can learn wrong labels by heart finds fewer


def out_of_fold(features: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return probabilities of each class, float (n, k), from heads that saw no image of the group.

    features: float32 (n, channels); classes and groups: int (n,).
    """
    probabilities = np.zeros((len(classes), classes.max() + 1))
    count = min(FOLDS, len(np.unique(groups)), np.bincount(classes).max())
    parts = cut(classes, groups, count, SEED) if count > 1 else []
    for held_out in tqdm(parts, desc="heads", disable=None):
        rest = np.setdiff1d(np.arange(len(classes)), held_out)
        if len(np.unique(classes[rest])) < 2:
            continue  # so few images that nothing can be said
        head = make_pipeline(StandardScaler(), LogisticRegression(C=C))
        head.fit(features[rest], classes[rest])
        known = np.ix_(held_out, head.classes_)
        probabilities[known] = head.predict_proba(features[held_out])
    return probabilities


def suspects(classes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the rows whose label is likely wrong, the likeliest first.

    A class whose images are all of one group has no second opinion, so its images are no suspects.
    """
    from cleanlab.filter import find_label_issues

    told = np.flatnonzero(probabilities.sum(axis=1) > 0)
    known, indices = np.unique(classes[told], return_inverse=True)
    own = probabilities[told[:, None], known]
    judged = np.isin(known, np.unique(classes[told][own[np.arange(len(told)), indices] > 0]))
    keep = judged[indices]
    told, indices = told[keep], np.cumsum(judged)[indices[keep]] - 1
    own = probabilities[told[:, None], known[judged]] + 1e-9
    if len(np.unique(indices)) < 2:
        return np.empty(0, int)
    own /= own.sum(axis=1, keepdims=True)
    wrong = find_label_issues(indices, own, return_indices_ranked_by="self_confidence", n_jobs=1)
    return told[wrong]
