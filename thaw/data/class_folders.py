"""Read an image's class, and the split it came in, from the folder it lies in."""

import mimetypes
import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

from thaw.data import links
from thaw.project.errors import UserError

GIVEN = {"train": "train", "validation": "validation", "test": "test"}
# the other names that archives use
GIVEN |= {"val": "validation", "valid": "validation", "training": "train", "testing": "test"}
# what systems leave, besides hidden files
CLUTTER = ("thumbs.db", "desktop.ini", "__macosx", "icon\r")
KEY = "data.source"  # of params.yaml, where a wrong layout is named


class Found(NamedTuple):
    """An image as its place tells: its path, its class, and the split it came in ("" for none)."""

    path: Path
    label: str
    given: str


def find(folder: Path) -> tuple[list[Found], int]:
    """List the files below the class folders of CLASS/... or SPLIT/CLASS/..., sorted by path.

    Folders that only wrap the classes (an archive's top folder) are passed through. Hidden files,
    what systems leave (`Thumbs.db`, `__MACOSX`) and files beside the class folders are no images;
    their number is the second value. Links to folders are entered.

    Raises UserError when there are fewer than two classes, one of them is empty, two have names
    that a file system may take for one, split folders and others mix, or
    a name is not UTF-8, or has a carriage return in it, which many take for the end of a line.
    """
    folders = _folders(folder)
    while len(folders) == 1 and _wraps(folders[0]):
        folders = _folders(folders[0])
    splits = [each for each in folders if each.name.lower() in GIVEN]
    if splits and len(splits) < len(folders):
        other = next(each.name for each in folders if each not in splits)
        raise UserError(f"folder {other!r} stands beside split folders", KEY, "move it")
    if splits:
        classes = [
            (each, GIVEN[split.name.lower()]) for split in splits for each in _folders(split)
        ]
    else:
        classes = [(each, "") for each in folders]
    _check_names({each.name for each, _ in classes})
    found = [Found(path, kind.name, given) for kind, given in classes for path in _of_class(kind)]
    for each in found:
        _check_readable(each.path)
    return sorted(found), len(_entries(folder)) - len(found)


def _entries(folder: Path) -> list[Path]:
    """List all files below a folder, also in linked folders."""
    return links.entries(folder)


def _folders(folder: Path) -> list[Path]:
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not is_clutter(path))
    for path in folders:
        _check_readable(path)
    return folders


def _wraps(folder: Path) -> bool:
    """Tell whether a folder only holds other folders, and no image by its name."""
    kinds = [mimetypes.guess_type(path.name)[0] or "" for path in folder.iterdir()]
    return bool(_folders(folder)) and not any(kind.startswith("image/") for kind in kinds)


def files(folder: Path) -> list[Path]:
    """List the files below a folder, and links, but for hidden files and what systems leave."""
    return [
        path
        for path in _entries(folder)
        if not any(is_clutter(Path(part)) for part in path.relative_to(folder).parts)
    ]


def _of_class(folder: Path) -> list[Path]:
    inside = files(folder)
    if not inside:
        raise UserError(f"class folder {folder.name!r} is empty", KEY, "fill it or leave it out")
    return inside


def is_clutter(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in CLUTTER


def _check_readable(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"{os.fsencode(path)!r}: this name is not UTF-8; rename the file") from None
    if "\r" in str(path):
        raise UserError(f"{str(path)!r}: this name has a carriage return in it; rename the file")


def _check_names(labels: set[str]) -> None:
    if len(labels) < 2:
        raise UserError(
            f"{len(labels)} class folders found ({', '.join(labels) or 'none'}), at least 2 are "
            "needed",
            KEY,
            "name the folder that holds them, images in CLASS/image",
        )
    seen = {}
    for label in sorted(labels):
        other = seen.setdefault(unicodedata.normalize("NFKC", label).casefold(), label)
        if other != label:
            raise UserError(
                f"class folders {other!r} and {label!r} differ only in case or in how their "
                "letters are encoded",
                KEY,
                "rename or join them",
            )
