"""Read an image's class, split and group from its path, by a template such as {split}/{label}/*."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from thaw.labels import auto_layout, layout_doubts
from thaw.labels.split_words import split_of
from thaw.labels.template import Template
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line
from thaw.sources import listing

KEY = "data.layout"  # of params.yaml, where a wrong layout is named
AUTO = "auto"
NAMED = 3  # folders in a note
ELSEWHERE = "name the folder that holds them, as files of their own"
NO_COLUMNS = pd.DataFrame(columns=["path"])


class Found(NamedTuple):
    """An image as its place tells: its path, its class, the split it came in and its group.

    given and group are "" where the place tells none.
    """

    path: Path
    label: str
    given: str
    group: str = ""


class Listing(NamedTuple):
    """The images of a source, sorted by path, and how they were found.

    skipped counts all other files. layout is the template that was used, "" for none. notes are
    sentences about what a user may have meant otherwise. columns: of a table of labels path (below
    the source) and the columns that tell nothing of these; all text.
    """

    found: list[Found]
    skipped: int
    layout: str
    notes: list[str]
    columns: pd.DataFrame = NO_COLUMNS


def find(folder: Path, layout: str = AUTO) -> Listing:
    """List the images below `folder` with what a template says of each, or the one that fits.

    Hidden files, what systems leave (`Thumbs.db`, `@eaDir`), tables and notes are no images. Links
    to folders are entered.

    Raises UserError when no single template fits (auto), when there are fewer than two classes, two
    have names that a file system may take for one, one has control characters in its name, or
    a name is not UTF-8 or has a carriage return in it.
    """
    if layout != AUTO and "{label}" not in layout:
        raise UserError(f"{quoted(layout)} has no {{label}}", KEY, "write it for the class's name")
    files = images_in(folder)
    if not any(len(place.parts) > 1 or listing.is_image_by_name(place.name) for place in files):
        raise UserError(f"no image was found{_other_kinds(folder)}", "data.source", ELSEWHERE)
    template, notes = layout, []
    if layout == AUTO:
        template, notes = auto_layout.infer([*files], tables_in(folder))
    matcher = Template(template)
    found, left = [], []
    for place, path in sorted(files.items()):
        match = matcher.match(place)
        if match:
            found.append(Found(path, *match))
        else:
            left.append(place)
    notes += _of_left_out(found, left, template)
    notes += _of_splits(matcher, files) + _of_empty(folder, files, matcher)
    notes += matcher.other_readings(sorted(files)) + _of_formulas(found, files)
    check_labels({each.label for each in found}, KEY, f"by {quoted(template)}")
    return Listing(found, len(listing.entries(folder)) - len(found), template, notes)


def _other_kinds(folder: Path) -> str:
    """Say which endings the files of a source without an image have."""
    kinds = Counter(path.suffix.lower() or path.name for path in listing.files(folder))
    said = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(NAMED))
    return f", only {said}" if said else ""


def images_in(folder: Path) -> dict[PurePosixPath, Path]:
    """Return what may be an image below a folder, by its path from there on."""
    files = {}
    for path in listing.files(folder):
        listing.check_name(path)
        if listing.may_be_image(path):
            files[PurePosixPath(path.relative_to(folder))] = path
    return files


def summary(listing: Listing) -> str:
    """Say how the images were found, and each note in a line of its own."""
    lines = [*([f"layout: {listing.layout}"] if listing.layout else []), *listing.notes]
    return "\n".join(map(one_line, lines))


def check_labels(labels: set[str], key: str, where: str) -> None:
    """Raise UserError for fewer than two classes, or two whose names a disk may take for one."""
    if len(labels) < 2:
        raise UserError(
            f"{len(labels)} classes found {where} "
            f"({', '.join(sorted(labels)) or 'no file fits'}), at least 2 are needed",
            key,
            "write it from the source's folder on, or name the right folder in data.source",
        )
    layout_doubts.check_names(labels)


def quoted(template: str) -> str:
    """Return a template as it stands in params.yaml; YAML wants quotes around braces."""
    return f'"{template}"'


def tables_in(folder: Path) -> list[Path]:
    """List the tables below a folder as paths from there on, the likeliest first.

    That is the topmost; those of test images and for submissions come last.
    """
    endings = (".csv", ".tsv", ".txt")
    tables = [
        path.relative_to(folder)
        for path in listing.files(folder)
        if path.suffix.lower() in endings and path.stem.lower() not in listing.NOTES
    ]

    def last(path: Path) -> bool:
        return "submission" in path.stem.lower() or split_of(path.stem) == "test"

    return sorted(tables, key=lambda path: (last(path), len(path.parts), path))


def _of_left_out(found: list[Found], left: list[PurePosixPath], template: str) -> list[str]:
    """Say how many images fit no template, with one of each folder."""
    images = [place for place in left if listing.is_image_by_name(place.name)]
    if not (images and found):
        return []
    beside = {}
    for place in images:
        beside.setdefault(place.parent, []).append(place)
    said = [
        f"{places[0]}{f' and {len(places) - 1} more beside it' if len(places) > 1 else ''}"
        for places in beside.values()
    ]
    names = "; ".join(said[:NAMED]) + (" ..." if len(said) > NAMED else "")
    do = "does" if len(images) == 1 else "do"
    files = "1 image file" if len(images) == 1 else f"{len(images)} image files"
    return [f"{files} {do} not fit {quoted(template)}, so skipped: {names}"]


def _of_empty(folder: Path, files: dict[PurePosixPath, Path], matcher: Template) -> list[str]:
    """Name the topmost folders without an image; those within a class folder do not count."""
    full = {parent for place in files for parent in place.parents}
    empty = [
        place
        for place in map(PurePosixPath, listing.folders(folder))
        if place not in full and place.parent in full and not matcher.match(place)
    ]
    if not empty:
        return []
    names = ", ".join(map(str, empty[:NAMED]))
    verb = "holds" if len(empty) == 1 else "hold"
    return [f"{names}{' ...' if len(empty) > NAMED else ''} {verb} no image, so no class"]


def _of_formulas(found: list[Found], places: Iterable[PurePosixPath]) -> list[str]:
    """Say which classes, and which folders that paths begin with, look like formulas."""
    return layout_doubts.of_formulas(
        {each.label for each in found} | {place.parts[0] for place in places}
    )


def _of_splits(matcher: Template, files: Iterable[PurePosixPath]) -> list[str]:
    """Say which split each folder is taken for, where one is not called by the split's own name."""
    names = {}
    for place in files:
        if match := matcher.match(place):
            names[matcher.most.fullmatch(place.as_posix()).groupdict().get("split")] = match[1]
    others = sorted(
        (name, split) for name, split in names.items() if name and name.lower() != split
    )
    return [", ".join(f"{name} is taken for {split}" for name, split in others)] if others else []
