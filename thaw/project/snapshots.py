"""Files as they are at one moment, so that what is hashed is what is read."""

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from thaw.project import files
from thaw.project.errors import UserError

IN_MEMORY = 2**25  # bytes; photos have fewer
AGAIN = "run this again"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Give the bytes of a file as they are now, whatever becomes of it in the block.

    They are in memory. A file larger than IN_MEMORY is read where it is, and UserError is raised at
    the end of the block when it was written to meanwhile. Raises OSError when it cannot be read.
    """
    # By its number, as Pillow would map a file with a name, and so open it anew.
    with open(os.open(path, os.O_RDONLY), "rb") as file:
        before = os.fstat(file.fileno())
        if before.st_size <= IN_MEMORY:
            yield io.BytesIO(file.read())
            return
        yield file
        after = os.fstat(file.fileno())
        if (after.st_ctime_ns, after.st_size) != (before.st_ctime_ns, before.st_size):
            raise UserError(f"{path} changed while it was read", hint=AGAIN)


def sha256(file: BinaryIO) -> str:
    """Return the SHA-256 digest of what `opened` gave (hexadecimal)."""
    with _from_the_start(file):
        return hashlib.file_digest(file, "sha256").hexdigest()


def beginning(file: BinaryIO, count: int) -> bytes:
    """Return the first bytes of what `opened` gave."""
    with _from_the_start(file):
        return file.read(count)


@contextmanager
def _from_the_start(file: BinaryIO) -> Iterator[None]:
    """Let the block read a file from its first byte, and others go on where they were."""
    place = file.tell()
    file.seek(0)
    yield
    file.seek(place)


def copy(path: Path, target: Path, sha256: str) -> None:
    """Copy a file that has this digest. Raises UserError when it has another by now."""
    shutil.copyfile(path, target)
    if files.sha256(target) != sha256:
        raise UserError(f"{path} changed after its digest was taken", hint=AGAIN)


@contextmanager
def copied(path: Path, sha256: str) -> Iterator[Path]:
    """Give a copy of a file, under its own name, for those who read by a path.

    Raises UserError when its digest is another. The block's UserErrors name `path` for the copy.
    """
    with tempfile.TemporaryDirectory() as folder:
        same = Path(folder, path.name)
        copy(path, same, sha256)
        try:
            yield same
        except UserError as error:
            problem = error.problem.replace(str(same), str(path))
            raise UserError(problem, error.key, error.hint, error.file) from None
