"""Find the pictures of a folder, their labels and given splits, and check that each one decodes."""

import hashlib
import os
import unicodedata
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from stages.lib.errors import UserError

GIVEN = {"train": "train", "validation": "validation", "test": "test"}
# the other names that archives use
GIVEN |= {"val": "validation", "valid": "validation", "training": "train", "testing": "test"}
UNKNOWN_RANGE = ("I", "F")  # 32-bit integers and floats, by Pillow's names
SOURCE = "params.yaml [data.source]"  # where a wrong layout is named
FACTS = ["sha256", "format", "mode", "width", "height"]


class Found(NamedTuple):
    """A picture as its place tells: its path, its class, and the split it came in ("" for none)."""

    path: Path
    label: str
    given: str


def find(folder: Path) -> list[Found]:
    """List the files below the class folders of CLASS/... or SPLIT/CLASS/..., sorted by path.

    Folders that only wrap the classes (an archive's top folder) are passed through. Hidden files,
    `__MACOSX` and files beside the class folders are no pictures and are left out. Raises UserError
    when there are fewer than two classes, one of them is empty, or split folders and others mix.
    """
    folders = _folders(folder)
    while len(folders) == 1 and _folders(folders[0]):
        folders = _folders(folders[0])
    splits = [each for each in folders if each.name.lower() in GIVEN]
    if splits and len(splits) < len(folders):
        other = next(each.name for each in folders if each not in splits)
        raise UserError(f"{SOURCE}: folder {other!r} stands beside split folders; move it")
    if splits:
        found = [
            Found(path, kind.name, GIVEN[split.name.lower()])
            for split in splits
            for kind in _folders(split)
            for path in _files(kind)
        ]
    else:
        found = [Found(path, kind.name, "") for kind in folders for path in _files(kind)]
    _check_classes(sorted({each.label for each in found}))
    for each in found:
        if not _is_utf8(each.path):
            raise UserError(f"{os.fsencode(each.path)!r}: this name is not UTF-8; rename the file")
    return sorted(found)


def left_out(folder: Path, found: list[Found]) -> int:
    """Count the files below `folder` that `find` took for no pictures."""
    return sum(path.is_file() for path in folder.rglob("*")) - len(found)


def _is_utf8(path: Path) -> bool:
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False


def _folders(folder: Path) -> list[Path]:
    names = sorted(path for path in folder.iterdir() if path.is_dir())
    return [path for path in names if not path.name.startswith((".", "__MACOSX"))]


def _files(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [path for path in files if not _is_clutter(path.relative_to(folder))]
    if not files:
        raise UserError(f"{SOURCE}: class folder {folder.name!r} is empty; fill it or leave it out")
    return files


def _is_clutter(path: Path) -> bool:
    return path.name == "Thumbs.db" or any(part.startswith(".") for part in path.parts)


def _check_classes(labels: list[str]) -> None:
    if len(labels) < 2:
        raise UserError(
            f"{SOURCE}: {len(labels)} class folders found ({', '.join(labels) or 'none'}), at "
            "least 2 are needed; name the folder that holds them, pictures in CLASS/picture"
        )
    seen = {}
    for label in labels:
        other = seen.setdefault(unicodedata.normalize("NFC", label).casefold(), label)
        if other != label:
            raise UserError(f"{SOURCE}: class folders {other!r} and {label!r} differ only in case")


def check(found: list[Found], root: Path, workers: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode every picture and return the manifest and the quarantine, together one row for each.

    manifest: path (below `root`), label, given_split, and what the picture is: sha256 of the file,
    format, mode, width, height in pixels. quarantine: path, label, reason.
    """
    with ThreadPoolExecutor(workers) as pool:
        outcomes = pool.map(inspect, [each.path for each in found])
        outcomes = list(tqdm(outcomes, total=len(found), desc="check pictures", disable=None))
    good, bad = [], []
    for (path, label, given), (facts, reason) in zip(found, outcomes):
        place = [path.relative_to(root).as_posix(), label]
        if reason:
            bad.append([*place, reason])
        else:
            good.append([*place, given, *facts])
    manifest = pd.DataFrame(good, columns=["path", "label", "given_split", *FACTS])
    return manifest, pd.DataFrame(bad, columns=["path", "label", "reason"])


def inspect(path: Path) -> tuple[list, str]:
    """Decode one file. Return its facts and "", or no facts and why it is no picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; the pixels count
            with Image.open(path) as picture:
                picture.load()
        if picture.mode in UNKNOWN_RANGE:
            return (
                [],
                f"values of mode {picture.mode} have no known range; save it with 8 or 16 bits",
            )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return [digest, picture.format, picture.mode, *picture.size], ""
    except UnidentifiedImageError:
        return [], "no known picture format"
    except Exception as error:  # decoders raise all kinds; whichever it is, this is no picture
        return [], " ".join(str(error).replace(str(path), "file").split()) or type(error).__name__
