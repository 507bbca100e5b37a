"""Unpack zip and tar files of any usual compression; refuse members that would do harm."""

import errno
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path

from thaw.project.errors import UserError
from thaw.sources import archive_kinds, zip_names
from thaw.sources.archive_kinds import Damaged
from thaw.sources.bounded_writer import Writer
from thaw.sources.settings import ArchiveLimits

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)
# tar headers that describe the member after them: long names and the attributes of pax
DESCRIPTIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
MOST_DESCRIPTION = 1 << 20  # bytes
AFTER_END = 1 << 20  # bytes after a tar's end that are looked at; zeros fill its last record


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
    writer = Writer(limits)
    unpack_next(path, folder, name, writer)
    archive_kinds.refuse_packed(folder, name)
    return writer.note


def unpack_next(path: Path, folder: Path, name: str, writer: Writer) -> None:
    """Do as `unpack` does, but for archives within, with limits for all that a writer writes."""
    writer.begin(name, path.stat().st_size, folder)
    try:
        if not (_unpack_tar(path, writer) or _unpack_zip(path, writer)):
            archive_kinds.refuse_other(path, name)
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


def _unpack_zip(path: Path, writer: Writer) -> bool:
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


def _unpack_tar(path: Path, writer: Writer) -> bool:
    """Unpack a tar archive of any compression; return False when it is none."""
    try:
        archive = tarfile.open(path, tarinfo=Member)  # noqa: SIM115  closed below
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
        archive.fileobj.seek(archive.offset + tarfile.BLOCKSIZE)  # a link's copy led elsewhere
        if archive.fileobj.read(AFTER_END).strip(b"\0"):
            raise tarfile.ReadError("it goes on after its end, as several in one do")
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


class Member(tarfile.TarInfo):
    """A tar header that does not let tarfile read endless names and attributes into memory.

    Nor does it let tarfile take a header that is damaged or cut off for the archive's end.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "Member":
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # the true end
            raise
        except tarfile.HeaderError as error:
            if archive.offset == 0:
                raise  # no tar at all
            raise tarfile.ReadError(f"{error} after {archive.offset} bytes") from None

    @classmethod
    def frombuf(cls, *args) -> "Member":
        member = super().frombuf(*args)
        if member.type in DESCRIPTIONS and member.size > MOST_DESCRIPTION:
            raise ValueError(f"{member.size} bytes of description of one member")
        return member
