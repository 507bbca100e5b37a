"""Pictures by how sure the network is: its most confident mistakes and least certain hits."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from stages.lib.figures import BLUE, ORANGE
from stages.lib.sheets import Cell, grid, named

COLUMNS = 6
SHOWN = 24  # pictures on a sheet
EXPLAINED = 6


def mistakes(truth: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Return the rows that are mistaken, the most confident first, by probabilities (n, k)."""
    rows = np.flatnonzero(chances.argmax(axis=1) != truth)
    return rows[np.argsort(-chances[rows].max(axis=1), kind="stable")]


def hits(truth: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Return the rows that are right, the least certain first, by probabilities (n, k)."""
    rows = np.flatnonzero(chances.argmax(axis=1) == truth)
    return rows[np.argsort(chances[rows].max(axis=1), kind="stable")]


def rivals(truth: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Return for each row the class against the predicted one, int (n,).

    That is the actual class of a mistake, and the runner-up of a hit.
    """
    first, second = np.argsort(-chances, axis=1, kind="stable")[:, :2].T
    return np.where(first == truth, second, truth)


def percent(probability: float) -> str:
    """Say a probability in percent, never as certainty."""
    if probability >= 0.9995:
        return ">99.9 %"
    return "<0.1 %" if probability < 0.0005 else f"{100 * probability:.1f} %"


def title(mistaken: bool, count: int, pictures: int) -> str:
    """Say what the sheet of mistakes, or of hits, shows of `count` among so many test pictures."""
    if not count:
        every = "right" if mistaken else "mistaken"
        return f"None: all {pictures} test pictures are {every}"
    name = "mistake" if mistaken else "hit"
    order = "most confident" if mistaken else "least certain"
    some = f"The {SHOWN} {order} of {count} {name}s"
    if count <= SHOWN:
        some = f"All {count} {name}s, the {order} first" if count > 1 else f"The only {name}"
    what = "the actual class and what it was taken for" if mistaken else "the class, the runner-up"
    return f"{some}: {what}, with probabilities"


def explanation(mistaken: int, shape: tuple[int, int]) -> str:
    """Say what Grad-CAM shows with maps of that shape: mistakes, or hits where there are none."""
    what = "the most confident mistakes" if mistaken else "the least certain hits (no mistakes)"
    return f"What speaks for a class, by Grad-CAM on {shape[0]} x {shape[1]} places: {what}"


def sheet(
    pixels: np.ndarray, truth: np.ndarray, chances: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Draw pictures uint8 (n, h, w, 3), each with two classes and their probabilities.

    Above is the actual class; below it the predicted one of a mistake, in orange, or the runner-up
    of a hit. `truth` int (n,) and `chances` (n, k) are of these pictures.
    """
    cells = []
    for picture, actual, rival, row in zip(pixels, truth, rivals(truth, chances), chances):
        guess = row.argmax()
        below = guess if guess != actual else rival
        mark = "→" if guess != actual else "or"
        text = f"{_with_chance(classes, row, actual)}\n"
        text += _with_chance(classes, row, below, f"{mark} ")
        cells.append(Cell(picture, text, "black" if guess == actual else ORANGE))
    return grid(cells, COLUMNS, title, lines=2)


def _with_chance(classes: Sequence[str], chances: np.ndarray, label: int, before: str = "") -> str:
    return named(classes[label], COLUMNS, before, f": {percent(chances[label])}")


def explained(
    pixels: np.ndarray,
    overlays: tuple[np.ndarray, np.ndarray],
    truth: np.ndarray,
    chances: np.ndarray,
    classes: Sequence[str],
    title: str,
) -> Figure:
    """Draw pictures and below each what speaks for the predicted class and for its rival.

    `pixels` and both `overlays` (predicted, rival): uint8 (n, h, w, 3), n at most EXPLAINED.
    """
    guess, rival = chances.argmax(axis=1), rivals(truth, chances)
    cells = []
    for picture, actual in zip(pixels, truth):
        cells.append(Cell(picture, named(classes[actual], COLUMNS)))
    for overlay, labels in zip(overlays, (guess, rival)):
        for picture, label, actual, row in zip(overlay, labels, truth, chances):
            text = _with_chance(classes, row, label, "for ")
            cells.append(Cell(picture, text, BLUE if label == actual else ORANGE))
    return grid(cells, max(1, len(pixels)), title, size=COLUMNS)
