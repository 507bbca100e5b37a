"""Take labels, splits and groups of images from a table that lies with them."""

from pathlib import Path, PurePosixPath

import pandas as pd

from thaw.labels import layout, layout_doubts, table_columns, table_file, table_paths
from thaw.labels.layout import Found, Listing
from thaw.labels.split_words import split_of
from thaw.labels.table_columns import Columns
from thaw.labels.template import Template
from thaw.project.errors import UserError
from thaw.sources import listing
from thaw.sources.settings import Labels

KEY = table_file.KEY


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
    table = table_file.read(folder / table_place, name, lambda cell: bool(known.find(cell, False)))
    columns = table_columns.tell(table, settings, name, known)
    places = [known.one(cell, name) for cell in table[columns.path]]
    rows = _of_images(table, columns, name, places)
    if columns.label:
        by_place = _by_place(rows, template)
        found = [
            Found(images[place], label, split or by_place[place][0], group or by_place[place][1])
            for place, (label, split, group) in sorted(rows.items())
        ]
        given_by, base_notes = "" if template == layout.AUTO else template, []
        layout.check_labels({each.label for each in found}, KEY, f"in {name}")
    else:
        base = layout.find(folder, template)
        given_by, base_notes = base.layout, base.notes
        found = [_with(each, rows.get(_inside(each.path, folder))) for each in base.found]
    _check_splits(found, name)
    if columns.label:
        base_notes = layout_doubts.of_formulas({each.label for each in found})
    lost = [cell for cell, place in zip(table[columns.path], places) if place is None]
    notes = _notes(name, columns, lost, set(places) - {None} - set(rows)) + base_notes
    used = {columns.path, *columns.label, columns.split, columns.group, ""}
    if unused := [column for column in table if column not in used]:
        notes[0] += f"; for scores only: {', '.join(unused)}"
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
    further = table[unused].drop(columns="path", errors="ignore")
    further.insert(0, "path", list(map(str, places)))
    further = further[[place in rows for place in places]].drop_duplicates("path")
    return Listing(found, len(listing.entries(folder)) - len(found), given_by, notes, further)


def _by_place(
    rows: dict[PurePosixPath, tuple[str, str, str]], template: str
) -> dict[PurePosixPath, tuple[str, str]]:
    """Return the split and the group that a template tells of each place; "" for none."""
    if template == layout.AUTO:
        return dict.fromkeys(rows, ("", ""))
    matcher = Template(template)
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
    matcher = Template(template)
    return {place: path for place, path in files.items() if matcher.match(place)}


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
    wrong = ~table_columns.one_hot(hot)
    if wrong.any():
        raise UserError(
            f"{name}: {table.loc[wrong, columns.path].iloc[0]!r} has no single 1 in its columns of "
            "labels", KEY, "an image has one class; take such rows out",
        )  # fmt: skip
    return list(table_columns.numbers(hot).idxmax(axis=1))


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
