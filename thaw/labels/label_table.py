"""Take labels, splits and groups of images from a table that lies with them."""

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from thaw.labels import layout, table_file, table_paths
from thaw.labels.layout import Found, Listing
from thaw.labels.split_words import split_of
from thaw.project.errors import UserError
from thaw.sources import listing
from thaw.sources.settings import Labels

KEY = table_file.KEY
# usual names of columns, in words of small letters
USUAL = {
    "label": {"label", "labels", "class", "category", "target", "breed", "species", "diagnosis"},
    "split": {"split", "fold", "subset", "partition", "set", "phase"},
    "group": {"group", "patient", "subject", "video", "lesion", "case", "session", "individual"},
}


class Columns(NamedTuple):
    """The names of a table's columns; label has several of a one-hot table, "" is for none."""

    path: str
    label: tuple[str, ...]
    split: str
    group: str


def find(folder: Path, settings: Labels, template: str) -> Listing:
    """List the images below `folder` that a table names, with what it says of each.

    A template other than auto says which images to look at. Where the table has no labels, but
    splits or groups, the labels come from the layout, and images without a row are kept.

    Raises UserError when the table is missing or no row names an image, when columns cannot be
    told, a cell may mean two images, or an image has two labels.
    """
    table_place = _place(folder, settings.table)
    name, images = table_place.as_posix(), _images(folder, template)
    known = table_paths.Images(images, table_place)
    table = table_file.read(folder / table_place, name, lambda cell: bool(known.find(cell)))
    columns = _columns(table, settings, name, known)
    places = [known.one(cell, name) for cell in table[columns.path]]
    rows = _of_images(table, columns, name, places)
    if columns.label:
        by_place = _by_place(rows, template)
        found = [
            Found(images[place], label, split or by_place[place][0], group or by_place[place][1])
            for place, (label, split, group) in sorted(rows.items())
        ]
        given_by = template
        layout.check_labels({each.label for each in found}, KEY, f"in {name}")
    else:
        base = layout.find(folder, template)
        given_by = base.layout
        found = [_with(each, rows.get(_inside(each.path, folder))) for each in base.found]
    _check_splits(found, name)
    lost = [cell for cell, place in zip(table[columns.path], places) if place is None]
    notes = _notes(name, columns, lost, set(places) - {None} - set(rows))
    folders = {split_of(place.parts[0]) for place in rows if len(place.parts) > 1} - {None, ""}
    if template == layout.AUTO and columns.label and not columns.split and len(folders) > 1:
        notes.append(
            f"its images lie in folders of {', '.join(sorted(folders))}, which are not taken for "
            'the split; set data.layout to "{split}/*" to take them'
        )
    bare = sorted(set(images) - set(places))
    if bare:
        what = ": skipped" if columns.label else ", and no split or group of it"
        notes.append(f"{len(bare)} images have no row in it, such as {bare[0]}{what}")
    return Listing(found, len(listing.entries(folder)) - len(found), given_by, notes)


def _by_place(
    rows: dict[PurePosixPath, tuple[str, str, str]], template: str
) -> dict[PurePosixPath, tuple[str, str]]:
    """Return the split and the group that a template tells of each place; "" for none."""
    if template == layout.AUTO:
        return dict.fromkeys(rows, ("", ""))
    matcher = layout.Template(template)
    return {place: matcher.match(place)[1:] for place in rows}


def _check_splits(found: list[Found], name: str) -> None:
    """Refuse images of which some have a split and others none."""
    without = [each.path.name for each in found if not each.given]
    if without and len(without) < len(found):
        raise UserError(
            f"{len(without)} images have no split in {name}, such as {without[0]}", KEY,
            "give each a row, or leave the column out",
        )  # fmt: skip


def _place(folder: Path, wanted: str) -> PurePosixPath:
    """Return where the table is below the source; a wrapping folder need not be named."""
    if (folder / wanted).is_file() and not PurePosixPath(wanted).is_absolute():
        return PurePosixPath(wanted)
    files = [_inside(path, folder) for path in listing.files(folder)]
    fits = [place for place in files if f"/{place}".endswith(f"/{wanted}")]
    if len(fits) == 1:
        return fits[0]
    tables = sorted(str(place) for place in files if place.suffix in (".csv", ".tsv", ".txt"))
    has = f"it has {', '.join(tables[:3])}" if tables else "it has no tables"
    raise UserError(
        f"{wanted!r} is {'twice' if fits else 'not'} in the source ({has})", KEY,
        "give its place from the source's folder on",
    )  # fmt: skip


def _images(folder: Path, template: str) -> dict[PurePosixPath, Path]:
    files = layout.images_in(folder)
    if template == layout.AUTO:
        return files
    matcher = layout.Template(template)
    return {place: path for place, path in files.items() if matcher.match(place)}


def _columns(
    table: pd.DataFrame, settings: Labels, name: str, known: table_paths.Images
) -> Columns:
    """Return which column is which: as the settings say, or by its name and what it holds."""
    labels = settings.label if isinstance(settings.label, list) else [settings.label]
    named = [settings.path, *labels, settings.split, settings.group]
    for column in filter(None, named):
        if column not in table:
            raise UserError(
                f"{name} has no column {column!r}", KEY, f"it has {', '.join(table.columns)}"
            )
    path = settings.path or _path_column(table, name, known)
    free = [each for each in table if each and each != path and each not in named]
    split = settings.split or next(
        (each for each in _usual("split", free) if table[each].map(split_of).all()), ""
    )
    group = settings.group or next(iter(_usual("group", free)), "")
    free = [column for column in free if column not in (split, group)]
    label = tuple(filter(None, labels)) or _label_columns(table, free, name, bool(split or group))
    return Columns(path, label, split, group)


def _path_column(table: pd.DataFrame, name: str, known: table_paths.Images) -> str:
    """Return the column that names most images."""
    counts = {column: table[column].map(lambda cell: bool(known.find(cell))).sum()
              for column in table}  # fmt: skip
    best = max(counts, key=counts.get)
    if not counts[best]:
        first = ", ".join(map(str, table.iloc[0])) if len(table) else "no rows"
        raise UserError(
            f"{name}: no row names an image of the source; the first is {first}", KEY,
            "check data.source and the table's paths",
        )  # fmt: skip
    return best


def _label_columns(
    table: pd.DataFrame, free: list[str], name: str, tells_more: bool
) -> tuple[str, ...]:
    """Return the columns of the labels; () for a table that tells splits or groups only."""
    usual = _usual("label", free)
    if len(usual) == 1:
        return tuple(usual)
    if len(free) <= 1:
        return () if tells_more else tuple(free)
    if not usual and _one_hot(table[free]).all():
        return tuple(free)
    raise UserError(
        f"{name}: which column holds the labels?", "data.labels.label", f"name one of {free}"
    )


def _usual(kind: str, columns: list[str]) -> list[str]:
    return [each for each in columns
            if USUAL[kind] & set(re.findall("[a-z]+", each.lower()))]  # fmt: skip


def _one_hot(table: pd.DataFrame) -> pd.Series:
    """Tell of each row whether one cell is 1 and the others 0."""
    numbers = table.apply(pd.to_numeric, errors="coerce")
    return numbers.isin([0, 1]).all(axis=1) & (numbers.sum(axis=1) == 1)


def _of_images(
    table: pd.DataFrame, columns: Columns, name: str, places: list[PurePosixPath | None]
) -> dict[PurePosixPath, tuple[str, str, str]]:
    """Return label, split and group ("" for none) of each image; `places` are the rows'."""
    found = {}
    labels = _label_cells(table, columns, name)
    cells = [table[column] if column else [""] * len(table)
             for column in (columns.split, columns.group)]  # fmt: skip
    for place, label, split, group in zip(places, labels, *cells):
        if place is None or (columns.label and not label):
            continue
        if columns.split and not split_of(split):
            raise UserError(
                f"{name}: {split!r} in column {columns.split!r} names no split", KEY,
                "write train, validation or test, or set data.labels.split to another column",
            )  # fmt: skip
        values = (label, split_of(split), group)
        if found.setdefault(place, values) != values:
            raise UserError(
                f"{name}: {place} is there twice, as {_say(found[place])} and {_say(values)}", KEY,
                "keep one row; an image has one class",
            )  # fmt: skip
    return found


def _label_cells(table: pd.DataFrame, columns: Columns, name: str) -> list[str]:
    if len(columns.label) < 2:
        return list(table[columns.label[0]]) if columns.label else [""] * len(table)
    hot = table[list(columns.label)]
    wrong = ~_one_hot(hot)
    if wrong.any():
        raise UserError(
            f"{name}: {table.loc[wrong, columns.path].iloc[0]!r} has no single 1 in its columns of "
            "labels", KEY, "an image has one class; take such rows out",
        )  # fmt: skip
    return list(hot.apply(pd.to_numeric).idxmax(axis=1))


def _say(values: tuple[str, str, str]) -> str:
    return ", ".join(filter(None, values))


def _with(each: Found, row: tuple[str, str, str] | None) -> Found:
    _, split, group = row or ("", "", "")
    return each._replace(given=split or each.given, group=group or each.group)


def _inside(path: Path, folder: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(folder))


def _notes(name: str, columns: Columns, lost: list[str], bare: set[PurePosixPath]) -> list[str]:
    """Say which column is which, and which rows name no image or no label."""
    several = len(columns.label) > 1
    label = f"{len(columns.label)} columns" if several else "".join(columns.label)
    kinds = {"path": columns.path, "label": label, "split": columns.split, "group": columns.group}
    notes = [f"{name}: " + ", ".join(f"{kind} from {each}" for kind, each in kinds.items() if each)]
    if lost:
        notes.append(f"{len(lost)} rows of it name no image of the source, such as {lost[0]!r}")
    if bare:
        notes.append(f"{len(bare)} rows of it have no label, such as that of {min(bare)}: skipped")
    return notes
