"""Read a table of text as people have them: any separator, with or without names of columns."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from thaw.project.errors import UserError

KEY = "data.labels"  # of params.yaml
SEPARATORS = "\t;,|"


def read(path: Path, name: str, is_image: Callable[[str], bool]) -> pd.DataFrame:
    """Return a table of text, with its columns' names, or "1", "2", ... where it has none.

    The text is UTF-8 or UTF-16, parted by tabs, semicolons, commas, bars or spaces. A first line
    in which a cell is of an image (`is_image`) holds no names. Raises UserError that calls the
    table `name`.
    """
    rows = _rows(_text(path, name))
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
    data = path.read_bytes()
    encoding = "utf-8-sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif data[1:200:2].count(0) > len(data[1:200:2]) / 2:
        encoding = "utf-16-le"
    elif data[:200:2].count(0) > len(data[:200:2]) / 2:
        encoding = "utf-16-be"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8", KEY, "save it as UTF-8, or as UTF-16") from None


def _rows(text: str) -> list[list[str]]:
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
    if len({len(line) for line in lines}) > 1 and not best:  # spaces within paths
        lines = [line.rsplit(None, 1) for line in text.splitlines() if line.strip()]
    return best or lines
