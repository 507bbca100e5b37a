"""Unpack zip and tar files of any usual compression; refuse members that would leave the folder."""

import lzma
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from stages.lib.errors import UserError

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)


def is_archive(path: Path) -> bool:
    """Tell by its content, not its name, whether a file is a zip or tar archive."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def looks_like_one(path: Path) -> bool:
    """Tell whether a file begins as a zip, gzip, bzip2 or xz file does, be it whole or not."""
    with open(path, "rb") as file:
        return file.read(6).startswith((b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))


def unpack(path: Path, folder: Path) -> None:
    """Unpack the files and folders of `path` into `folder`, which must exist.

    A link inside a tar becomes a copy of the member that it points to. Raises UserError that names
    the archive and the member when a member has an absolute path or `..`, is a device, links to
    what is not in the archive, or is encrypted, and when the archive is damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            _unpack_zip(path, folder)
        else:
            _unpack_tar(path, folder)
    except (*DAMAGE, NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the archive's
        raise UserError(f"{path}: damaged archive: {error}; fetch it again") from None


def _unpack_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            target = _target(path, member.filename, folder)
            if member.flag_bits & 1:
                raise UserError(f"{path}: member {member.filename!r} is encrypted; unpack it first")
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                _write(target, archive.open(member))


def _unpack_tar(path: Path, folder: Path) -> None:
    with tarfile.open(path) as archive:
        for member in archive:
            target = _target(path, member.name, folder)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            try:
                source = archive.extractfile(member)  # follows links inside the archive only
            except (KeyError, RecursionError):
                source = None
            if source is None:
                raise UserError(
                    f"{path}: member {member.name!r} is a device or links to what is not in the "
                    "archive; pack it again without"
                )
            _write(target, source)


def _target(path: Path, name: str, folder: Path) -> Path:
    """Return where the member goes, or refuse it. Both kinds of slash part a name."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in (parts.parts or ("",))[0]:
        raise UserError(f"{path}: member {name!r} would leave the folder; pack it again without")
    return folder / parts


def _write(target: Path, source: BinaryIO) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, open(target, "wb") as file:
        shutil.copyfileobj(source, file)
