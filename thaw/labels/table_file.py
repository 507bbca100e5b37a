"""Read a table of text as people have them: any separator, with or without names of columns."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from thaw.images.file_kinds import PAGE, POINTER, kind_of
from thaw.project.encoding import decoded
from thaw.project.errors import UserError

KEY = "data.labels"  # of params.yaml
SEPARATORS = "\t;,|"
TOLD = (PAGE, POINTER)  # what a table may be instead, whose remedy fits


def read(path: Path, name: str, is_image: Callable[[str], bool]) -> pd.DataFrame:
    """Return a table of text, with its columns' names, or "1", "2", ... where it has none.

    The text is UTF-8 or UTF-16, parted by tabs, semicolons, commas, bars or spaces. Lines of
    remarks (`#`, and the `sep=;` of spreadsheets) may come first. A first line in which a cell is
    of an image (`is_image`) holds no names. Raises UserError that calls the table `name`.
    """
    rows = _rows(_without_remarks(_text(path, name), is_image), is_image)
    if not rows:
        raise UserError(f"{name} is empty", KEY, "name the table that has the labels")
    if any(map(is_image, rows[0])):
        header = [str(number) for number in range(1, len(rows[0]) + 1)]
    else:
        header, *rows = rows
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise UserError(
                f"{name}: row {number} has {len(row)} cells and not {len(header)}", KEY,
                "mend that line, or put quotes around what holds the separator",
            )  # fmt: skip
    if len(set(header)) < len(header):
        raise UserError(f"{name}: two columns have one name", KEY, "rename one of them")
    return pd.DataFrame(rows, columns=header, dtype=object)


def _text(path: Path, name: str) -> str:
    if kind := kind_of(path):
        todo = kind.remedy if kind in TOLD else "save the table as CSV"
        raise UserError(f"{name} is {kind.name}, not a table", KEY, todo)
    try:
        return decoded(path.read_bytes())
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8", KEY, "save it as UTF-8, or as UTF-16") from None


def _without_remarks(text: str, is_image: Callable[[str], bool]) -> str:
    lines = text.splitlines(keepends=True)
    while lines and re.match("#|sep=.$", lines[0].strip()):
        if any(map(is_image, re.split(r"[\t;,| ]", lines[0].strip()))):
            break
        del lines[0]
    return "".join(lines)


def _rows(text: str, is_image: Callable[[str], bool]) -> list[list[str]]:
    """Part the text by the separator that gives all rows the same number of cells, at least 2."""
    best = []
    for separator in SEPARATORS:
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        except csv.Error:  # a cell without end, as after a single quotation mark
            continue
        rows = [[cell.strip() for cell in row] for row in rows if any(map(str.strip, row))]
        widths = {len(row) for row in rows}
        if len(widths) == 1 and widths != {1}:
            return rows
        if rows and len(rows[0]) > 1 and not best:
            best = rows  # a line is broken, and its reader is told which
    lines = [line.split() for line in text.splitlines() if line.strip()]
    whole = len({len(line) for line in lines}) == 1 and any(
        is_image(cell) for line in lines for cell in line
    )
    if not whole and not best:  # spaces within paths
        lines = [line.rsplit(None, 1) for line in text.splitlines() if line.strip()]
    return best or lines
