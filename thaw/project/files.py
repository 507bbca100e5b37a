"""Write files and folders so that a killed process leaves no half of one under its final name."""

import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from thaw.project import faults
from thaw.project.errors import UserError

# With pyarrow pandas would keep texts as Arrow does, which takes no path that is not UTF-8.
pd.set_option("mode.string_storage", "python")

PARTIAL = "partial-"  # how folders begin that hold what is not complete


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write a file or folder to, and put it in the place of `path` at the end.

    It lies beside `path`, in a folder of this process alone, under its own name (Keras looks at the
    ending). At no moment is there half of one at `path`: a file is replaced at once, a folder is
    moved aside first. What is new is on the disk before, so that a power cut leaves one or the
    other. When the block raises, `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    with _own_folder(path) as own:
        partial = own / path.name
        yield partial
        faults.point(f"written {path.name}")
        sync(partial)
        faults.point(f"synced {path.name}")
        if partial.is_dir() and os.path.lexists(path):
            path.replace(own / f"earlier-{path.name}")
            faults.point(f"moved aside {path.name}")
        partial.replace(path)
        faults.point(f"replaced {path.name}")
        _sync_folder(path.parent)


@contextmanager
def _own_folder(path: Path) -> Iterator[Path]:
    """Give a new folder beside `path`, locked for the block, so that it is known to be in use."""
    own, lock = _locked_folder(path)
    try:
        yield own
    finally:
        remove(own)
        os.close(lock)


def _locked_folder(path: Path) -> tuple[Path, int]:
    while True:
        own = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{path.name}-", dir=path.parent))
        try:
            lock = os.open(own, os.O_RDONLY)
        except FileNotFoundError:  # another process took it for abandoned
            continue
        with suppress(OSError):  # a disk without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if own.exists():
            return own, lock
        os.close(lock)  # taken for abandoned before it was locked


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes left of `path`; the system has unlocked it."""
    for left in _folders_of(path):
        with suppress(FileNotFoundError):  # another process removes it, too
            lock = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(left)
            except OSError:
                pass  # that process lives, or the disk has no locks
            finally:
                os.close(lock)


def partials_of(path: Path) -> list[Path]:
    """Return what processes have written so far of that which becomes `path`."""
    return [left / path.name for left in _folders_of(path)]


def _folders_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{PARTIAL}{glob.escape(path.name)}-*/"))


def sync(path: Path) -> None:
    """Have the system write a file, or all that it holds where `path` is a folder of many files."""
    if path.is_dir():
        os.sync()
        return
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def reserve(path: Path, size: int) -> None:
    """Give a file, a new one or one that is there, the disk's room for `size` bytes.

    Raises OSError where there is none. Without this, a write through a memory map kills the process
    when the disk is full (SIGBUS), and HDF5 leaves it in a state in which it crashes at its end.
    """
    path.touch()
    with open(path, "r+b") as file:  # not "ab", which glibc refuses where the disk cannot reserve
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)


def _sync_folder(path: Path) -> None:
    """Have the system write the names in a folder."""
    folder = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks cannot
            os.fsync(folder)
    finally:
        os.close(folder)


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


def read_csv(path: Path, **options: object) -> pd.DataFrame:
    """Return a table that a stage wrote; `options` are those of pandas.read_csv.

    Raises UserError when it is missing or damaged.
    """
    try:
        return pd.read_csv(path, **options)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it") from None
    except OSError:
        raise
    except Exception as error:  # pandas raises all kinds for what is cut, empty or no UTF-8
        raise damaged(path, str(error)) from None


def damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is damaged ({why}); remove it, and run `dvc repro` to make it anew")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index, with Unix line ends on every machine."""
    with replacing(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")
