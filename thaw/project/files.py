"""Write files and folders so that a killed process leaves no half of one under its final name."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from thaw.project.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or folder to, and rename it when the block ends.

    The name keeps its ending (Keras looks at it). When the block raises, `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    remove(partial)
    try:
        yield partial
        if partial.is_dir():
            remove(path)
        partial.replace(path)
    finally:
        remove(partial)


def partial_of(path: Path) -> Path:
    """Return where a file or folder is until it is complete."""
    return path.with_name(f"partial-{path.name}")


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Give an empty folder for the length of the block; what a killed run left there goes first."""
    remove(path)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        remove(path)


def remove(path: Path) -> None:
    """Delete a file, a link or a whole folder; nothing happens when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def refuse_link(folder: Path) -> None:
    """Raise UserError where a folder of outputs is a link: DVC keeps none that lie elsewhere."""
    if folder.is_symlink():
        raise UserError(
            f"{folder} is a link, and DVC keeps no outputs beyond one",
            hint="let only its cache lie on the other disk: `dvc cache dir --local /PATH` and "
            "`dvc config --local cache.type symlink`, with a folder in place of the link",
        )


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file (hexadecimal)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, values: dict) -> None:
    """Write `values` as sorted, indented JSON, so that Git diffs are short. No NaN."""
    with replacing(path) as partial:
        partial.write_text(
            json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8"
        )


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index, with Unix line ends on every machine."""
    with replacing(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")
