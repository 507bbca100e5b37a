"""Which classes are shown where there are too many for all of them."""

import numpy as np


def worst_and_largest(
    recall: np.ndarray, images: np.ndarray, each: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the `each` classes of the lowest recall, and the `each` others with the most images.

    `recall`: float (k,); `images`: int (k,); returns two int arrays. Of two classes of the same
    recall the one with more images is the worse.
    """
    worst = np.lexsort((-images, recall))[:each]
    largest = np.argsort(-images, kind="stable")
    return worst, largest[~np.isin(largest, worst)][:each]
