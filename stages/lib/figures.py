"""Pictures of a run, as PNG files: learning curves, confusion matrix, a sheet of predictions."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

plt.switch_backend("Agg")  # files only, also where there is a screen
plt.rcParams["text.parse_math"] = False  # class names may have dollar signs

# Okabe and Ito's palette (2008), which colour-blind people can tell apart
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
COUNTS_UP_TO = 25  # classes: more numbers than that cannot be read
NAME = 16  # letters of a class name over a picture
INCH = 120  # pixels


def save(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the figure alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a class name in rare letters
        figure.savefig(path, dpi=INCH, metadata={"Software": None})
    plt.close(figure)


def learning_curves(head: pd.DataFrame, fine_tune: pd.DataFrame) -> Figure:
    """Draw loss and accuracy of both phases over one epoch axis; a line marks the thaw.

    `head`, `fine_tune`: by epoch from 0 (before the first), columns train/loss, validation/loss ...
    """
    thaw = head.index.max()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, metric in zip(axes, ("loss", "accuracy")):
        for part, colour in (("train", BLUE), ("validation", ORANGE)):
            first, second = head[f"{part}/{metric}"], fine_tune[f"{part}/{metric}"]
            axis.plot(first.index, first, color=colour, label=part)
            axis.plot(second.index + thaw, second, color=colour)
        axis.axvline(thaw, color=GREY, linestyle="--", linewidth=1)
        axis.annotate(
            "fine-tuning starts", (thaw, 0.5), xycoords=("data", "axes fraction"), rotation=90,
            xytext=(-4, 0), textcoords="offset points", ha="right", va="center", color=GREY,
        )  # fmt: skip
        axis.set(xlabel="epoch", ylabel=metric, title=metric.capitalize())
        axis.grid(alpha=0.3)
    axes[0].set_ylim(bottom=0)
    axes[0].legend()
    return figure


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw how many pictures of each class (rows) were taken for each class (columns)."""
    from sklearn.metrics import confusion_matrix as count

    matrix = count(truth, predicted, labels=range(len(classes)))
    side = float(np.clip(2.5 + 0.45 * len(classes), 4.5, 14))
    figure, axis = plt.subplots(figsize=(side, side), layout="constrained")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= COUNTS_UP_TO:
        for row, column in np.argwhere(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, matrix[row, column], ha="center", va="center", color=colour)
        slant = {"rotation": 45, "ha": "right"} if max(map(len, classes)) > 3 else {}
        axis.set_xticks(range(len(classes)), classes, **slant)
        axis.set_yticks(range(len(classes)), classes)
    hits = int((truth == predicted).sum())
    axis.set(xlabel="predicted", ylabel="actual", title=f"{hits} of {len(truth)} right")
    return figure


def sheet(
    pixels: np.ndarray, truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> Figure:
    """Draw pictures uint8 (n, h, w, 3) in rows of eight with their labels, mistakes in orange."""
    columns = min(8, len(pixels))
    rows = -(-len(pixels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.12 * columns, 1.45 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, actual, guess in zip(axes.flat, pixels, truth, predicted):
        axis.imshow(picture)
        title = shorten(classes[actual], NAME)
        if actual != guess:
            title += f"\ntaken for {shorten(classes[guess], NAME)}"
        axis.set_title(title, fontsize=8, color="black" if actual == guess else ORANGE)
    return figure


def shorten(name: str, length: int, keep_end: bool = False) -> str:
    """Cut a name to `length` letters, with an ellipsis where some are left out."""
    if len(name) <= length:
        return name
    return f"…{name[1 - length :]}" if keep_end else f"{name[: length - 1]}…"


def first_of_each_class(truth: np.ndarray, count: int) -> np.ndarray:
    """Return up to `count` rows of `truth`: the first of every class, then the second, ..."""
    turn = pd.Series(truth).groupby(truth).cumcount().to_numpy()
    return np.lexsort((truth, turn))[:count]
