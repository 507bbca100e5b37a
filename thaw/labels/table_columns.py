"""Tell the columns of a table: which names the image, and which hold label, split and group."""

import re
from typing import NamedTuple

import pandas as pd

from thaw.labels import table_file, table_paths
from thaw.labels.split_words import split_of
from thaw.project.errors import UserError
from thaw.sources.settings import USUAL_LABELS, Labels

KEY = table_file.KEY
SAMPLE = 1000  # rows, and up to twice as many, in which images are sought by each column
ENOUGH = 4  # rows from which on a column with another value in each holds no labels
# usual names of columns, in words of small letters
USUAL = {
    "path": {"path", "file", "filename", "image", "img", "id", "name"},
    "label": USUAL_LABELS,
    "split": {"split", "fold", "subset", "partition", "set", "phase"},
    "group": {"group", "patient", "subject", "video", "lesion", "case", "session", "individual"},
}


class Columns(NamedTuple):
    """The names of a table's columns; label has several of a one-hot table, "" is for none."""

    path: str
    label: tuple[str, ...]
    split: str
    group: str


def tell(table: pd.DataFrame, settings: Labels, name: str, known: table_paths.Images) -> Columns:
    """Return which column is which: as the settings say, or by its name and what it holds.

    Raises UserError that calls the table `name`, where a column is not there or several may do.
    """
    labels = settings.label if isinstance(settings.label, list) else [settings.label]
    named = [settings.path, *labels, settings.split, settings.group]
    for column in filter(None, named):
        if column not in table:
            raise UserError(
                f"{name} has no column {column!r}", KEY, f"it has {', '.join(table.columns)}"
            )
    path = settings.path or _path_column(table, name, known)
    free = [each for each in table if each and each != path and each not in named]
    split, group = settings.split, settings.group
    if split is None:
        told = (each for each in _usual("split", free) if table[each].map(split_of).all())
        split = next(told, "")
    if group is None:
        group = next(iter(_usual("group", free)), "")
    free = [column for column in free if column not in (split, group)]
    label = tuple(filter(None, labels)) or _label_columns(table, free, name, bool(split or group))
    return Columns(path, label, split, group)


def _path_column(table: pd.DataFrame, name: str, known: table_paths.Images) -> str:
    """Return the column that names most images, each counted once, in up to 2,000 rows.

    Raises UserError where columns name other images, or none does.
    """
    rows = table.iloc[:: len(table) // SAMPLE + 1]
    found = {}
    for numbers in (False, True):
        found = found or {
            column: cells for column in table
            if any(cells := [tuple(known.find(cell, numbers)) for cell in rows[column]])
        }  # fmt: skip
    if not found:
        first = ", ".join(map(str, table.iloc[0])) if len(table) else "no rows"
        raise UserError(
            f"{name}: no row names an image of the source; the first is {first}", KEY,
            "check data.source and the table's paths",
        )  # fmt: skip
    counts = {column: len({*cells} - {()}) for column, cells in found.items()}
    many = [column for column in found if counts[column] * 2 >= max(counts.values())]
    chosen = _usual("path", many) or many
    if any(one != two for each in chosen[1:] for one, two in zip(found[chosen[0]], found[each])
           if one and two):  # fmt: skip
        raise UserError(
            f"{name}: which column names the images?", "data.labels.path", f"name one of {chosen}"
        )
    return max(chosen, key=counts.get)


def _label_columns(
    table: pd.DataFrame, free: list[str], name: str, tells_more: bool
) -> tuple[str, ...]:
    """Return the columns of the labels; () for a table that tells splits or groups only."""
    usual = _usual("label", free)
    if len(usual) == 1:
        return tuple(usual)
    if tells_more and len(free) <= 1:
        return ()
    if len(free) > 1 and not usual and one_hot(table[free]).all():
        return tuple(free)
    several = [each for each in free if table[each].nunique() < max(len(table), ENOUGH)]
    if len(several) == 1:
        return tuple(several)
    if not several:
        raise UserError(f"{name} has no column that may hold labels", KEY, "name another table")
    raise UserError(
        f"{name}: which column holds the labels?", "data.labels.label",
        f"name one of {several}, or give a list of columns of which one has a 1",
    )  # fmt: skip


def _usual(kind: str, columns: list[str]) -> list[str]:
    return [each for each in columns
            if USUAL[kind] & set(re.findall("[a-z]+", each.lower()))]  # fmt: skip


def one_hot(table: pd.DataFrame) -> pd.Series:
    """Tell of each row whether one cell is 1 and the others 0."""
    values = numbers(table)
    return values.isin([0, 1]).all(axis=1) & (values.sum(axis=1) == 1)


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return cells as numbers; true counts as 1, false and an empty cell as 0."""
    words = {"true": "1", "false": "0", "": "0"}
    plain = table.apply(lambda column: column.str.lower().replace(words))
    return plain.apply(pd.to_numeric, errors="coerce")
