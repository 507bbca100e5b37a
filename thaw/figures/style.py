"""What all figures share: how they are saved, their colours, and names cut to a length."""

import warnings
from functools import lru_cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import ImageFont

plt.switch_backend("Agg")  # files only, also where there is a screen
plt.rcParams["text.parse_math"] = False  # class names may have dollar signs

# Okabe and Ito's palette (2008), which colour-blind people can tell apart
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = "osD"  # with another form where the colours begin anew
INCH = 120  # pixels


def save(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the figure alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a class name in rare letters
        figure.savefig(path, dpi=INCH, metadata={"Software": None})
    plt.close(figure)


def fit(name: str, pixels: float, points: float) -> str:
    """Cut a name so that it is at most so many pixels wide in letters of that size, on one line."""
    name = shorten(name, 300)
    if length(name, points) <= pixels:
        return name
    while name and length(f"{name}…", points) > pixels:
        name = name[:-1]
    return f"{name}…"


def length(text: str, points: float) -> float:
    """Return how wide a text is in pixels."""
    return _font(points).getlength(text)


@lru_cache
def _font(points: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), points * INCH / 72)


def shorten(name: str, length: int, keep_end: bool = False) -> str:
    """Cut a name to `length` letters on one line, with an ellipsis where some are left out."""
    name = " ".join(name.split()) or name
    if len(name) <= length:
        return name
    return f"…{name[1 - length :]}" if keep_end else f"{name[: length - 1]}…"
