"""Grids of images: training images by class, what augmentation does, predictions."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from thaw.figures.style import INCH, ORANGE, fit, length

WIDTH = 1080  # pixels, of a full row
NARROWEST = 620  # so that a title fits
GAP, LINE = 10, 17  # pixels: between images, and of a line of text
FONT, TITLE = 8.5, 10.5  # points
CLASSES = 20  # at most, in the grid of samples
ROW = 8  # images
SAMPLES, FULL = 11, 4  # images in a row of samples; classes with a row of their own


class Cell(NamedTuple):
    """An image, uint8 (h, w, 3) or float (h, w) for viridis, and the lines above it."""

    image: np.ndarray
    text: str = ""
    colour: str = "black"


def grid(
    cells: Sequence[Cell | None],
    columns: int,
    title: str = "",
    lines: int = 1,
    sharp: bool = False,
    size: int | None = None,
) -> Figure:
    """Draw cells in rows of `columns`, each below `lines` lines of text; None leaves a place free.

    `size`: how many images fill the width, `columns` by default. `sharp` shows single pixels. Texts
    are not cut here. Without cells there is only the title.
    """
    side = WIDTH // (size or columns) - GAP
    above = lines * LINE + GAP // 2
    width = max(NARROWEST, GAP + min(columns, len(cells)) * (side + GAP))
    if title:
        title = textwrap.fill(title, int((width - 2 * GAP) * len(title) / length(title, TITLE)))
    top = (title.count("\n") + 1) * (LINE + 4) + GAP if title else GAP // 2
    height = top + -(-len(cells) // columns) * (above + side + GAP) + GAP // 2

    figure = Figure(figsize=(width / INCH, height / INCH))
    # One axis for all: an axis for each image would take most of the time of drawing.
    axis = figure.add_axes((0, 0, 1, 1))
    axis.axis("off")
    axis.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axis.text(GAP, GAP, title, va="top", fontsize=TITLE)
    for number, cell in enumerate(cells):
        if cell is None:
            continue
        row, column = divmod(number, columns)
        left, upper = GAP + column * (side + GAP), top + row * (above + side + GAP) + above
        axis.text(left, upper - 3, cell.text, va="bottom", color=cell.colour, fontsize=FONT)
        axis.imshow(
            cell.image,
            extent=(left, left + side, upper + side, upper),
            interpolation="nearest" if sharp else "antialiased",
            aspect="auto",
        )
    return figure


def named(name: str, columns: int, before: str = "", after: str = "", cells: int = 1) -> str:
    """Return a name between two texts, cut so that all fits above that many cells of a grid."""
    room = WIDTH // columns * cells - GAP - length(before + after, FONT)
    return f"{before}{fit(name, room, FONT)}{after}"


def predictions(
    pixels: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    title: str = "",
) -> Figure:
    """Draw images uint8 (n, h, w, 3) in rows of eight with labels, misclassified in orange."""
    cells = []
    for image, actual, label in zip(pixels, truth, predicted):
        text = named(classes[actual], ROW)
        if actual != label:
            text += "\n" + named(classes[label], ROW, "→ ")
        cells.append(Cell(image, text, "black" if actual == label else ORANGE))
    lines = max((cell.text.count("\n") + 1 for cell in cells), default=1)
    return grid(cells, ROW, title, lines)


def sample_rows(truth: np.ndarray, classes: int) -> dict[int, np.ndarray]:
    """Return rows of `truth` to show of each class, spread evenly over those that it has.

    There are 11 of each of up to FULL classes, and 5 of more; of more than CLASSES classes those
    with the most rows are shown. A class may have fewer images, or none.
    """
    largest = np.argsort(-np.bincount(truth, minlength=classes), kind="stable")[:CLASSES]
    most = SAMPLES if len(largest) <= FULL else SAMPLES // 2
    chosen = {}
    for label in sorted(map(int, largest)):
        rows = np.flatnonzero(truth == label)
        places = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
        chosen[label] = rows[places]
    return chosen


def samples(images: dict[int, np.ndarray], truth: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw training images by class, one class in a row or two, with a gap between them.

    `images`: for each class shown uint8 (k, h, w, 3), those of `sample_rows`; `truth`: the
    classes of all training images.
    """
    full = len(images) <= FULL
    wide = SAMPLES if full else SAMPLES // 2
    cells = []
    for place, (label, some) in enumerate(images.items()):
        count = f" ({int((truth == label).sum())})"
        text = named(classes[label], SAMPLES, after=count, cells=wide)
        row = [Cell(image, text if first == 0 else "") for first, image in enumerate(some)]
        gap = not full and place % 2 == 0
        cells += [*row, *[None] * (wide - len(row) + gap)]
    all_of = f"{len(classes):,} classes"
    if len(images) < len(classes):
        all_of = f"the {len(images)} largest of {all_of}"
    title = f"{len(truth):,} training images, {all_of}, as the network sees them"
    return grid(cells, SAMPLES, title)


def augmented(image: np.ndarray, copies: Sequence[np.ndarray], settings: dict) -> Figure:
    """Draw an image uint8 (h, w, 3) and augmented copies of it, alike; there may be none.

    `settings`: the section augmentation of params.yaml; the title names what is active.
    """
    if not len(copies):
        return grid(
            [Cell(image)], 5, "A training image; params.yaml [augmentation] changes nothing"
        )
    active = {name: value for name, value in settings.items() if value not in (0.0, "none")}
    amounts = [f"{name} {value}" for name, value in active.items() if name != "fill_mode"]
    title = f"A training image and augmented copies: {', '.join(amounts)}"
    if set(active) & {"rotation", "translation", "zoom", "shear"}:
        title += f"; fill_mode {settings['fill_mode']}"
    cells = [Cell(image, "original"), *(Cell(each) for each in copies)]
    return grid(cells, 5, title)
