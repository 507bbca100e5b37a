"""What all figures share: how they are saved, their colours, and names as they are drawn."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from os.path import commonprefix
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from thaw.figures import fonts
from thaw.project import files

plt.switch_backend("Agg")  # files only, also where there is a screen
plt.rcParams["text.parse_math"] = False  # class names may have dollar signs

# Okabe and Ito's palette (2008), which colour-blind people can tell apart
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = "osD"  # with another form where the colours begin anew
INCH = 120  # pixels
LONGEST = 300  # letters of a name that are looked at
LEGEND = "classes.csv"  # beside figures that number classes
WORD = re.compile(r"[\W_]+")  # what stands before one
ISOLATED = "\u200e\u2068{}\u2069"  # so that a name from right to left turns nothing around it


class Name(str):
    """What figures call a class. No other class begins with its first `unlike` letters."""

    unlike: int = 0


def save(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the figure alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=INCH, metadata={"Software": None})
    plt.close(figure)


def class_names(classes: Sequence[str]) -> list[Name]:
    """Return what figures call the classes, which are sorted.

    It is the name where a font has all its letters, and else its number, such as "#7" of the 7th.
    """
    lines = [_one_line(name) for name in classes]
    fonts.lacking("".join(lines))  # all at once, so that few fonts do
    alike = [len(commonprefix(pair)) for pair in pairwise(["", *lines, ""])]  # noqa: RUF071
    names = []
    for number, (line, pair) in enumerate(zip(lines, pairwise(alike)), 1):
        name = Name(f"#{number}" if fonts.lacking(line) else line)
        name.unlike = min(max(pair) + 1, len(name))
        names.append(name)
    return names


def numbered(classes: Sequence[str]) -> pd.DataFrame:
    """Return number, as figures draw it, and class: those that `class_names` has no name of."""
    pairs = [
        pair for pair in zip(class_names(classes), classes) if fonts.lacking(_one_line(pair[1]))
    ]
    return pd.DataFrame(pairs, columns=["number", "class"])


def write_legend(folder: Path, classes: Sequence[str]) -> str:
    """Write LEGEND beside the figures in a folder where they number classes.

    Returns what to say of it, "" where all names are drawn.
    """
    table = numbered(classes)
    if not len(table):
        return ""
    files.write_csv(folder / LEGEND, table)
    return (
        f"{len(table)} of {len(classes)} class names have letters that no font here has: figures "
        f"number them, and {LEGEND} beside the figures lists them. `make fonts` installs fonts."
    )


def fit(name: str, pixels: float, points: float) -> str:
    """Return a name on one line, at most so many pixels wide in letters of that size.

    Every name of a user's goes through here. Where it is too long, what tells a class from others
    is kept. Letters that no font has become "?".
    """
    unlike = getattr(name, "unlike", 0)
    line = _one_line(name)
    lacking = fonts.lacking(line)
    line = "".join("?" if letter in lacking else letter for letter in line)
    if len(line) > LONGEST or length(line, points) > pixels:
        counts = range(1, min(len(line), LONGEST))
        place = bisect_left(
            counts, True, key=lambda kept: length(_cut(line, kept, unlike), points) > pixels
        )
        line = _cut(line, max(1, place), unlike)
    rightwards = not any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in line)
    return line if rightwards else ISOLATED.format(line)


def _cut(line: str, kept: int, unlike: int) -> str:
    """Return so many letters of a line: beginning and end, or those that make it unlike others."""
    end = kept // 2
    if unlike <= kept - end:
        return f"{line[: kept - end]}…{line[len(line) - end :]}"
    if unlike <= kept:
        return f"{line[:kept]}…"
    begin = unlike - kept
    word = next((found.end() for found in WORD.finditer(line) if found.end() > begin), begin)
    if word < unlike and len(line) - word >= end:
        begin = word
    return f"…{line[begin : begin + kept]}{'…' * (begin + kept < len(line))}"


def _one_line(name: str) -> str:
    """Return a name on one line, without marks that would change how the line runs."""
    name = unicodedata.normalize("NFC", " ".join(name.split()) or name)
    return "".join(
        letter for letter in name if letter in fonts.UNSEEN or unicodedata.category(letter) != "Cf"
    )


def length(text: str, points: float) -> float:
    """Return how wide a text is in pixels."""
    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(size=points), ismath=False
    )
    return width * INCH / 72
