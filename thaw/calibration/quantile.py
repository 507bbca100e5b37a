"""The quantile of split conformal prediction (Vovk and others 2005)."""

import math

import numpy as np


def upper(scores: np.ndarray, fraction: float) -> float:
    """Return what new scores do not pass with at least the probability `fraction`, in (0, 1).

    scores: of validation images, (n,). Infinite where they are too few to say: 0.95 takes 19.
    """
    place = math.ceil((len(scores) + 1) * fraction - 1e-9)  # 0.55 of 100 is 55.000000000000007
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else math.inf
