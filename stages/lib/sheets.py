"""Sheets of pictures: training pictures by class, what augmentation does, predictions."""

import textwrap
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from pydantic import Field

from stages.lib.figures import INCH, ORANGE, fit, length
from stages.lib.params import Section

WIDTH = 1080  # pixels, of a full row
NARROWEST = 620  # so that a title fits
GAP, LINE = 10, 17  # pixels: between pictures, and of a line of text
FONT, TITLE = 8.5, 10.5  # points
CLASSES = 20  # at most, on the sheet of samples
ROW = 8  # pictures
SAMPLES, FULL = 11, 4  # pictures in a row of samples; classes with a row of their own


class Figures(Section):
    """What the figures of a run show."""

    pictures: Annotated[int, Field(ge=1, le=200)]
    layers: Literal["auto"] | Annotated[list[str], Field(min_length=1, max_length=12)]
    points: Annotated[int, Field(ge=2, le=10_000)]


class Cell(NamedTuple):
    """A picture, uint8 (h, w, 3) or float (h, w) for viridis, and the lines above it."""

    picture: np.ndarray
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

    So many pictures as `size` (or `columns`) fill the width. `sharp` shows single pixels. Texts are
    not cut here. Without cells there is the title alone.
    """
    side = WIDTH // (size or columns) - GAP
    above = lines * LINE + GAP // 2
    width = max(NARROWEST, GAP + min(columns, len(cells)) * (side + GAP))
    if title:
        title = textwrap.fill(title, int((width - 2 * GAP) * len(title) / length(title, TITLE)))
    top = (title.count("\n") + 1) * (LINE + 4) + GAP if title else GAP // 2
    height = top + -(-len(cells) // columns) * (above + side + GAP) + GAP // 2

    figure = Figure(figsize=(width / INCH, height / INCH))
    # One axis for all: an axis for each picture would take most of the time of drawing.
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
            cell.picture,
            extent=(left, left + side, upper + side, upper),
            interpolation="nearest" if sharp else "antialiased",
            aspect="auto",
        )
    return figure


def named(name: str, columns: int, before: str = "", after: str = "", cells: int = 1) -> str:
    """Return a name between two texts, cut so that all fits above so many cells of a grid."""
    room = WIDTH // columns * cells - GAP - length(before + after, FONT)
    return f"{before}{fit(name, room, FONT)}{after}"


def predictions(
    pixels: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    title: str = "",
) -> Figure:
    """Draw pictures uint8 (n, h, w, 3) in rows of eight with their labels, mistakes in orange."""
    cells = []
    for picture, actual, guess in zip(pixels, truth, predicted):
        text = named(classes[actual], ROW)
        if actual != guess:
            text += "\n" + named(classes[guess], ROW, "→ ")
        cells.append(Cell(picture, text, "black" if actual == guess else ORANGE))
    lines = max((cell.text.count("\n") + 1 for cell in cells), default=1)
    return grid(cells, ROW, title, lines)


def sample_rows(truth: np.ndarray, classes: int) -> list[np.ndarray]:
    """Return rows of `truth` to show of each class, spread evenly over those that it has.

    There are 11 of each of up to FULL classes, and 5 of more; of more than CLASSES classes the
    first are shown. A class may have fewer pictures, or none.
    """
    shown = min(classes, CLASSES)
    most = SAMPLES if shown <= FULL else SAMPLES // 2
    chosen = []
    for label in range(shown):
        rows = np.flatnonzero(truth == label)
        places = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
        chosen.append(rows[places])
    return chosen


def samples(pictures: Sequence[np.ndarray], truth: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw training pictures by class, one class in a row or two, with a gap between them.

    `pictures`: for each class shown uint8 (k, h, w, 3), those of `sample_rows`; `truth`: the
    classes of all training pictures.
    """
    full = len(pictures) <= FULL
    wide = SAMPLES if full else SAMPLES // 2
    cells = []
    for label, (some, name) in enumerate(zip(pictures, classes)):
        count = f" ({int((truth == label).sum())})"
        text = named(name, SAMPLES, after=count, cells=wide)
        row = [Cell(picture, text if place == 0 else "") for place, picture in enumerate(some)]
        gap = not full and label % 2 == 0
        cells += [*row, *[None] * (wide - len(row) + gap)]
    of = f"{len(pictures)} of " if len(pictures) < len(classes) else ""
    title = f"{len(truth)} training pictures, {of}{len(classes)} classes, as the network sees them"
    return grid(cells, SAMPLES, title)


def augmented(picture: np.ndarray, varied: Sequence[np.ndarray], settings: dict) -> Figure:
    """Draw a picture uint8 (h, w, 3) and its variations, of the same kind, none for none.

    `settings`: the section augmentation of params.yaml; what it varies is named in the title.
    """
    active = {name: value for name, value in settings.items() if value not in (0.0, "none")}
    filled = settings["fill"] if set(active) & {"rotation", "shift", "zoom", "shear"} else None
    amounts = [f"{name} {value}" for name, value in active.items() if name != "fill"]
    if not len(varied):
        return grid([Cell(picture)], 5, "params.yaml [augmentation] varies nothing")
    title = f"A training picture and what augmentation makes of it: {', '.join(amounts)}"
    title += f"; filled with {filled}" if filled else ""
    cells = [Cell(picture, "as it is"), *(Cell(each) for each in varied)]
    return grid(cells, 5, title)
