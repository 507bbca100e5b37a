"""Which classes are shown where there are too many for all of them."""

import numpy as np
import pandas as pd

EACH = 10  # the worst classes in DVC's plots, and the largest ones: it has no room for more names
OTHERS = "(other classes)"


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


def for_plots(recall: pd.DataFrame, confusion: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return "recall" and "confusion" as DVC plots them: of more than 2 x EACH classes, some.

    `recall`, `confusion`: what `class_scores.by_class` and `metrics.confusion` gave. The matrix
    has the worst classes, what they are taken for most often, and OTHERS, all others together.
    """
    recall = recall[["class", "images", "fine_tuned"]]
    if len(recall) > 2 * EACH:
        columns = (recall[name].to_numpy() for name in ("fine_tuned", "images"))
        worst, largest = worst_and_largest(*columns, EACH)
        named = recall["class"].iloc[worst]
        recall = recall.iloc[[*worst, *largest]]
        confusion = confusion[confusion["actual"].isin(named)]
        predicted = confusion["predicted"]
        most = predicted.value_counts().index[:EACH]
        confusion = confusion.assign(predicted=predicted.where(predicted.isin(most), OTHERS))
    return {
        "recall": recall.assign(**{"class": _in_a_script(recall["class"])}),
        "confusion": confusion.apply(_in_a_script),
    }


def _in_a_script(names: pd.Series) -> pd.Series:
    """Return names that end no script, as DVC 3.67 writes them into one of its page as they are."""
    return names.str.replace("<", "‹")
