"""Unpack zip and tar files of any usual compression; refuse members that would leave the folder."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from stages.lib.errors import UserError


def is_archive(path: Path) -> bool:
    """Tell by its content, not its name, whether a file is a zip or tar archive."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def unpack(path: Path, folder: Path) -> None:
    """Unpack `path` into `folder`, which must exist.

    Raises UserError that names the archive and the member when a member has an absolute path or
    `..`, is a device, links to the outside or is encrypted, and when the archive is damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            _unpack_zip(path, folder)
        else:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
    except tarfile.FilterError as error:
        raise UserError(f"{path}: member refused: {error}") from None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise UserError(f"{path}: damaged archive: {error}; fetch it again") from None


def _unpack_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in (name.parts or ("",))[0]:
                raise UserError(f"{path}: member {member.filename!r} would leave the folder")
            if member.flag_bits & 1:
                raise UserError(f"{path}: member {member.filename!r} is encrypted; unpack it first")
        archive.extractall(folder)
