"""A plot of what was taken for what: a matrix of few classes, the worst of many."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thaw.evaluation.class_choice import worst_and_largest
from thaw.figures.style import BLUE, GREY, INCH, ORANGE, fit, length

MATRIX_UP_TO = 25  # classes: more numbers than that cannot be read
EACH = 15  # of many classes: the worst, the most frequent, and pairs
NAME = 150  # pixels of a class name


def draw(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw what images of each class were predicted as; `truth` and `predicted` are int (n,).

    Up to MATRIX_UP_TO classes it is a matrix, actual classes in rows. Of more it shows the recall
    of the worst and of the most frequent ones, and the most frequent confusions.
    """
    correct = int((truth == predicted).sum())
    title = f"{correct:,} of {len(truth):,} correct"
    if len(classes) <= MATRIX_UP_TO:
        return _matrix(truth, predicted, classes, title)
    figure, (axis, beside) = plt.subplots(1, 2, figsize=(9, 6.5), layout="constrained")
    figure.suptitle(f"{title}, {len(classes):,} classes")
    _recalls(axis, truth, predicted, classes)
    _confusions(beside, truth, predicted, classes)
    return figure


def _matrix(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    from sklearn.metrics import confusion_matrix

    matrix = confusion_matrix(truth, predicted, labels=range(len(classes)))
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [fit(name, NAME, 10) for name in classes]
    side = float(np.clip(2.7 + 0.33 * len(classes), 4.5, 9))
    figure, axis = plt.subplots(figsize=(side, side), layout="constrained")
    for row, column in np.argwhere(matrix):
        colour = "white" if fractions[row, column] > 0.5 else "black"
        text = {"ha": "center", "va": "center", "color": colour, "fontsize": 9}
        axis.text(column, row, matrix[row, column], **text)
    room = 0.7 * side * INCH / len(classes)
    wide = max(length(name, 10) for name in names) > room
    slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if wide else {}
    axis.set_xticks(range(len(classes)), names, **slant)
    axis.set_yticks(range(len(classes)), names)
    axis.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    axis.set(xlabel="predicted", ylabel="actual", title=title)
    return figure


def _recalls(axis: Axes, truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> None:
    """Draw a bar with the recall of each of some classes, and how many images that is."""
    images = np.bincount(truth, minlength=len(classes))
    correct = np.bincount(truth[truth == predicted], minlength=len(classes))
    recall = correct / np.maximum(images, 1)
    worst, frequent = worst_and_largest(recall, images, EACH)
    shown = np.concatenate([worst, frequent])
    places = np.arange(len(shown)) + (np.arange(len(shown)) >= len(worst))  # with a gap
    colours = [ORANGE] * len(worst) + [BLUE] * len(frequent)
    bars = axis.barh(places, recall[shown], color=colours)
    axis.bar_label(
        bars,
        [f"{c} of {n}" for c, n in zip(correct[shown], images[shown])],
        padding=2,
        fontsize=8,
        color=GREY,
    )
    axis.set_yticks(places, [fit(classes[label], NAME, 8) for label in shown], fontsize=8)
    axis.set(xlim=(0, 1.25), xticks=(0, 0.5, 1), ylim=(places[-1] + 0.6, -0.6))
    axis.set_title(
        f"Recall of the {len(worst)} worst classes\nand the {len(frequent)} most frequent others",
        fontsize=10,
    )
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _confusions(
    axis: Axes, truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> None:
    """List the most frequent confusions; draw no axes where there are none."""
    wrong = truth != predicted
    pairs, counts = np.unique(
        np.stack([truth[wrong], predicted[wrong]]), axis=1, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:EACH]
    if not len(order):
        axis.set_title("none misclassified", fontsize=10)
        axis.axis("off")
        return
    some = f"The {len(order)} most frequent of {len(counts):,} confusions"
    axis.set_title(f"{some}:\nactual → predicted", fontsize=10)
    bars = axis.barh(range(len(order)), counts[order], color=ORANGE)
    axis.bar_label(bars, padding=2, fontsize=8, color=GREY)
    named = [" →\n".join(fit(classes[label], NAME, 8) for label in pair) for pair in pairs.T[order]]
    axis.set_yticks(range(len(order)), named, fontsize=8)
    axis.set(xticks=[], xlim=(0, 1.15 * counts.max()), ylim=(EACH - 0.4, -0.6))
    axis.spines[["top", "right", "bottom"]].set_visible(False)
