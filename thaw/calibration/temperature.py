"""Temperature scaling: probabilities that are right as often as they say.

Guo and others 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599. The logits are
divided by one number, so no predicted class changes. As softmax(log p) is p, probabilities are
enough; of two classes they stand for the logits 0 and z.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

RANGE = 0.05, 20.0  # that a temperature is sought in
TINY = np.finfo("float64").tiny  # stands in for a probability of 0


def apply(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (n, k) at a temperature > 0, float64 (n, k), each row of sum 1.

    Above 1 they become less sure, below 1 surer; at 1 they stay as they are.
    """
    return np.exp(_log_probabilities(probabilities, temperature))


def fit(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the temperature at which probabilities (n, k) fit the true classes int (n,) best.

    That is, at which the cross-entropy is lowest. One image more counts, whose label is the given
    probabilities themselves, as otherwise the best temperature of a few images that are all correct
    would be 0.
    """
    count = len(truth)
    targets = np.asarray(probabilities, "float64") / (count + 1)
    targets[np.arange(count), truth] += count / (count + 1)

    def cross_entropy(exponent: float) -> float:
        return -float((targets * _log_probabilities(probabilities, np.exp(exponent))).sum())

    found = minimize_scalar(cross_entropy, bounds=np.log(RANGE), method="bounded")
    return float(np.exp(found.x))


def _log_probabilities(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    logits = np.log(np.maximum(np.asarray(probabilities, "float64"), TINY)) / temperature
    return logits - logsumexp(logits, axis=1, keepdims=True)
