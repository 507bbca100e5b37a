"""Unpack zip and tar files of any usual compression; refuse members that would do harm."""

import errno
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from thaw.project import faults
from thaw.project.errors import UserError
from thaw.sources import archive_kinds, zip_names
from thaw.sources.archive_kinds import Damaged
from thaw.sources.settings import ArchiveLimits

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)
RATIO_FROM = 1 << 26  # bytes unpacked: up to that, blank images may well be packed tightly
PIECE = 1 << 20  # bytes
LONGEST = 4096  # letters of a path, as of Linux
# tar headers that describe the member after them: long names and the attributes of pax
DESCRIPTIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
MOST_DESCRIPTION = 1 << 20  # bytes
DRIVE = re.compile("[A-Za-z]:")  # of Windows, before a path


def unpack(path: Path, folder: Path, limits: ArchiveLimits, name: str) -> str:
    """Unpack the files and folders of `path` into `folder`, which must exist.

    Returns what was guessed about names in it, "" for nothing. The kind is told by content. A link
    inside a tar becomes a copy of the member that it points to. Raises UserError that names the
    archive by `name`, and the member, when a member has an absolute path or `..`, is a device,
    links to what is not in the archive, is encrypted or is there twice; when the whole passes one
    of the limits, counted while it is written and not as the archive says; when it is not clear
    how names are coded; when the file is no archive, or a part of one, or holds other archives and
    no image. Raises Damaged, a UserError, when it is not whole, or a web page or a pointer instead.
    """
    writer = _Writer(name, path.stat().st_size, folder, limits)
    try:
        if not (_unpack_tar(path, writer) or _unpack_zip(path, writer)):
            archive_kinds.refuse_other(path, name)
        archive_kinds.refuse_packed(folder, name)
        return writer.note
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        place = Path(error.filename).relative_to(folder).as_posix()
        raise UserError(f"{name}: {place!r} is there twice; pack it again without") from None
    except NotImplementedError as error:
        raise UserError(f"{name}: {error}; pack it again as zip or tar.gz") from None
    except (*DAMAGE, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's fault, not the archive's
        if archive_kinds.LATER_PART.search(name):
            raise archive_kinds.part(name) from None
        raise Damaged(f"{name}: damaged archive: {error}; fetch it again") from None


def _unpack_zip(path: Path, writer: "_Writer") -> bool:
    """Unpack a zip archive; return False when it is none."""
    if not zipfile.is_zipfile(path):
        return False
    if archive_kinds.is_last_part(path):
        raise archive_kinds.part(writer.name)
    with zipfile.ZipFile(path) as archive:
        names, writer.note = zip_names.read(archive.infolist(), writer.name)
        for member, name in zip(archive.infolist(), names):
            is_folder = name.endswith(("/", "\\"))
            target = writer.target(name, is_folder)
            if member.flag_bits & 1:
                raise UserError(f"{writer.name}: member {name!r} is encrypted; unpack it first")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise UserError(f"{writer.name}: member {name!r} is a link; pack it again without")
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
            else:
                writer.write(target, archive.open(member))
    return True


def _unpack_tar(path: Path, writer: "_Writer") -> bool:
    """Unpack a tar archive of any compression; return False when it is none."""
    try:
        archive = tarfile.open(path, tarinfo=_Member)  # noqa: SIM115  closed below
    except tarfile.ReadError:
        return False
    with archive:
        for member in archive:
            _check_utf8(member.name, writer.name)
            target = writer.target(member.name, member.isdir())
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            try:
                source = archive.extractfile(member)  # follows links inside the archive only
            except (KeyError, RecursionError):
                source = None
            if source is None:
                raise UserError(
                    f"{writer.name}: member {member.name!r} is a device or links to what is not in "
                    "the archive; pack it again without"
                )
            writer.write(target, source)
    return True


def _check_utf8(name: str, archive: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{archive}: member {os.fsencode(name)!r} is not in UTF-8; copy the archive with the "
            'encoding that its writer used, such as `python -c "import tarfile; old = '
            "tarfile.open('pets.tar', encoding='gbk'); new = tarfile.open('pets-utf8.tar', 'w'); "
            "[new.addfile(each, old.extractfile(each) if each.isreg() else None) for each in old]; "
            'new.close()"`, and name the copy in data.source'
        ) from None


class _Member(tarfile.TarInfo):
    """A tar header that does not let tarfile read endless names and attributes into memory."""

    @classmethod
    def frombuf(cls, *args) -> "_Member":
        member = super().frombuf(*args)
        if member.type in DESCRIPTIONS and member.size > MOST_DESCRIPTION:
            raise ValueError(f"{member.size} bytes of description of one member")
        return member


class _Writer:
    """Writes the members of one archive and counts what they come to."""

    def __init__(self, name: str, packed: int, folder: Path, limits: ArchiveLimits) -> None:
        self.name, self.packed, self.folder, self.limits = name, packed, folder, limits
        self.members = self.written = 0
        self.folders: set[int] = set()  # hashes of all that members are or lie in
        self.note = ""

    def target(self, name: str, is_folder: bool) -> Path:
        """Return where the next member goes, or refuse it. Both kinds of slash part a name."""
        if len(name) > LONGEST:
            raise UserError(
                f"{self.name}: member {name[:40]!r}... has a name that no disk takes; pack it again"
            )
        parts = PurePosixPath(name.replace("\\", "/"))
        self._count(parts.parts if is_folder else parts.parts[:-1], is_folder)
        if parts.is_absolute() or ".." in parts.parts or DRIVE.match(name):
            raise UserError(
                f"{self.name}: member {name!r} would leave the folder; pack it again without"
            )
        return self.folder / parts

    def _count(self, folders: tuple[str, ...], is_folder: bool) -> None:
        """Count a member with the folders that it implies: a few bytes of it may be thousands."""
        self.members += not is_folder
        place = 0
        for part in folders:
            place = hash((place, part))
            self.folders.add(place)
        if self.members + len(self.folders) > self.limits.max_members:
            self._refuse(f"more than {self.limits.max_members} files and folders", "max_members")

    def write(self, target: Path, source: BinaryIO) -> None:
        """Copy a member to its place."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, open(target, "xb") as file:
            while piece := source.read(PIECE):
                self.written += len(piece)
                if self.written > self.limits.max_gigabytes * 1e9:
                    self._refuse(f"over {self.limits.max_gigabytes:g} GB unpacked", "max_gigabytes")
                if self.written > max(RATIO_FROM, self.limits.max_ratio * self.packed):
                    self._refuse(
                        f"over {self.limits.max_ratio:g} times its size unpacked", "max_ratio"
                    )
                file.write(piece)
        faults.point(f"unpacked {target.name}")

    def _refuse(self, what: str, key: str) -> None:
        raise UserError(
            f"{self.name}: {what}, which may be an attack on the disk; raise data.archive.{key} in "
            "params.yaml if it is not"
        )
