"""Cut images into folds, with as many of each class in each and no group of images in two."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold


def cut(classes: np.ndarray, groups: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Return the positions of each of `count` folds; `classes` and `groups` are int (n,)."""
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings(action="ignore"):  # it compares images, not groups, with folds
        return [held_out for _, held_out in splitter.split(classes, classes, groups)]
