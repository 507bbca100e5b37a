"""Grids of test images by confidence: the surest misclassified, the least certain correct ones."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from thaw.figures.image_grid import Cell, grid, named
from thaw.figures.style import BLUE, ORANGE

COLUMNS = 6
SHOWN = 24  # images in a grid
EXPLAINED = 6  # images with Grad-CAM


def misclassified(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the misclassified rows, the most confident first, by probabilities (n, k)."""
    rows = np.flatnonzero(probabilities.argmax(axis=1) != truth)
    return rows[np.argsort(-probabilities[rows].max(axis=1), kind="stable")]


def correct(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the correctly classified rows, the least certain first, by probabilities (n, k)."""
    rows = np.flatnonzero(probabilities.argmax(axis=1) == truth)
    return rows[np.argsort(probabilities[rows].max(axis=1), kind="stable")]


def rivals(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the class that stands against the predicted one in each row, int (n,).

    It is the actual class of a misclassified image, and the runner-up of a correct one.
    """
    first, second = np.argsort(-probabilities, axis=1, kind="stable")[:, :2].T
    return np.where(first == truth, second, truth)


def percent(probability: float) -> str:
    """Return a probability in percent, never as certainty."""
    if probability >= 0.9995:
        return ">99.9 %"
    return "<0.1 %" if probability < 0.0005 else f"{100 * probability:.1f} %"


def title_of(kind: Literal["misclassified", "correct"], count: int, images: int) -> str:
    """Return the title of a grid of the `count` images of this kind, of so many test images."""
    wrong = kind == "misclassified"
    if not count:
        every = "classified correctly" if wrong else "misclassified"
        return f"None: all {images:,} test images are {every}"
    order, shown = (
        ("most confident", "actual class and predicted class")
        if wrong
        else ("least certain", "class and runner-up")
    )
    some = f"The {SHOWN} {order} of {count:,} {kind} test images"
    if count <= SHOWN:
        some = f"All {count} {kind} test images, the {order} first"
    if count == 1:
        some = f"The only {kind} test image"
    return f"{some}: {shown}, with probabilities"


def gradcam_title(misclassified: int, shape: tuple[int, int]) -> str:
    """Return the title of `draw_gradcam`, for heat of that shape (h, w).

    `misclassified`: how many test images are. Where there are none, correct ones are shown.
    """
    most = "the most confident misclassified test images"
    least = "the least certain correct test images, as none is misclassified"
    return (
        f"What speaks for a class, by Grad-CAM on feature maps of {shape[0]} x {shape[1]}: "
        f"{most if misclassified else least}"
    )


def draw(
    pixels: np.ndarray,
    truth: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    title: str,
) -> Figure:
    """Draw images uint8 (n, h, w, 3), each with two classes and their probabilities.

    Above is the actual class. Below it is the predicted one of a misclassified image, in orange, or
    the runner-up of a correct one. `truth` int (n,) and `probabilities` (n, k) are of these images.
    """
    cells = []
    for image, actual, rival, row in zip(
        pixels, truth, rivals(truth, probabilities), probabilities
    ):
        predicted = row.argmax()
        below = predicted if predicted != actual else rival
        mark = "→" if predicted != actual else "or"
        text = f"{_with_probability(classes, row, actual)}\n"
        text += _with_probability(classes, row, below, f"{mark} ")
        cells.append(Cell(image, text, "black" if predicted == actual else ORANGE))
    return grid(cells, COLUMNS, title, lines=2)


def _with_probability(
    classes: Sequence[str], probabilities: np.ndarray, label: int, before: str = ""
) -> str:
    return named(classes[label], COLUMNS, before, f": {percent(probabilities[label])}")


def draw_gradcam(
    pixels: np.ndarray,
    overlays: tuple[np.ndarray, np.ndarray],
    truth: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    title: str,
) -> Figure:
    """Draw images, and below each what speaks for the predicted class and for its rival.

    `pixels` and both `overlays` (predicted, rival): uint8 (n, h, w, 3), n at most EXPLAINED.
    """
    predicted, rival = probabilities.argmax(axis=1), rivals(truth, probabilities)
    cells = []
    for image, actual in zip(pixels, truth):
        cells.append(Cell(image, named(classes[actual], COLUMNS)))
    for overlay, labels in zip(overlays, (predicted, rival)):
        for image, label, actual, row in zip(overlay, labels, truth, probabilities):
            text = _with_probability(classes, row, label, "for ")
            cells.append(Cell(image, text, BLUE if label == actual else ORANGE))
    return grid(cells, max(1, len(pixels)), title, size=COLUMNS)
