"""Scores of each class: precision, recall with its interval, and F1."""

import numpy as np
import pandas as pd

from thaw.evaluation.metrics import DIGITS, wilson


def by_class(
    truth: np.ndarray, predicted: dict[str, np.ndarray], classes: list[str], confidence: float
) -> pd.DataFrame:
    """Return class, images, and by model its recall on that class, in the classes' order.

    MODEL_low and MODEL_high are the recall's interval by Wilson's score method. MODEL_precision is
    the fraction of the images taken for the class that are of it, and MODEL_f1 the harmonic mean of
    both; each is 0 where no image counts.
    """
    images = np.bincount(truth, minlength=len(classes))
    table = {"class": classes, "images": images}
    for name, each in predicted.items():
        correct = np.bincount(truth[each == truth], minlength=len(classes))
        taken = np.bincount(each, minlength=len(classes))
        bounds = [wilson(*map(int, pair), confidence) for pair in zip(correct, images)]
        table[name] = correct / np.maximum(images, 1)
        table[f"{name}_low"], table[f"{name}_high"] = np.array(bounds).T
        table[f"{name}_precision"] = correct / np.maximum(taken, 1)
        table[f"{name}_f1"] = 2 * correct / np.maximum(images + taken, 1)
    return pd.DataFrame(table).round(DIGITS)
