"""Unpack zip and tar files of any usual compression; refuse members that would do harm."""

import errno
import lzma
import mimetypes
import re
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from thaw.data.file_kinds import PAGE, POINTER, kind_of
from thaw.data.settings import ArchiveLimits
from thaw.project.errors import UserError

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)
RATIO_FROM = 1 << 26  # bytes unpacked: up to that, blank images may well be packed tightly
PIECE = 1 << 20  # bytes
# tar headers that describe the member after them: long names and the attributes of pax
DESCRIPTIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
MOST_DESCRIPTION = 1 << 20  # bytes
CUT = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")  # how readable kinds begin
OTHERS = {b"7z\xbc\xaf": "7z", b"Rar!": "RAR", b"\x28\xb5\x2f\xfd": "Zstandard"}
PACKED = (*CUT, *OTHERS)  # how files begin that are archives, by their content
SPLIT = b"PK\x07\x08"  # how the first part of a split zip begins
LATER_PART = re.compile(r"\.(z\d\d|zip\.\d{3}|\d{3})$", re.IGNORECASE)
IMAGE_STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"RIFF",
    b"P5",
    b"P6",
)
END_OF_ZIP = b"PK\5\6"  # and then two bytes with the number of this part, 0 for the only one
LONGEST_END = 22 + 65_535  # bytes, with the longest comment


class Damaged(UserError):
    """The archive is not whole or not what was asked for, so fetching it again may help."""


def unpack(path: Path, folder: Path, limits: ArchiveLimits, name: str) -> None:
    """Unpack the files and folders of `path` into `folder`, which must exist.

    The kind is told by content. A link inside a tar becomes a copy of the member that it points to.
    Raises UserError that names the archive by `name`, and the member, when a member has an absolute
    path or `..`, is a device, links to what is not in the archive, is encrypted or is there twice;
    when the whole passes one of the limits, counted while it is written and not as the archive
    says; when the file is no archive, or a part of one, or holds other archives and no image.
    Raises Damaged, a UserError, when it is not whole, or a web page or a pointer instead.
    """
    writer = _Writer(name, path.stat().st_size, folder, limits)
    try:
        if not (_unpack_tar(path, writer) or _unpack_zip(path, writer)):
            _refuse_other(path, name)
        _refuse_packed(folder, name)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        place = Path(error.filename).relative_to(folder).as_posix()
        raise UserError(f"{name}: {place!r} is there twice; pack it again without") from None
    except NotImplementedError as error:
        raise UserError(f"{name}: {error}; pack it again as zip or tar.gz") from None
    except (*DAMAGE, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's fault, not the archive's
        if LATER_PART.search(name):
            raise _part(name) from None
        raise Damaged(f"{name}: damaged archive: {error}; fetch it again") from None


def _part(name: str) -> UserError:
    return UserError(
        f"{name}: a part of a split archive; join the parts first: `zip -s 0 pets.zip --out "
        "whole.zip` for .z01, .z02, ...; `cat pets.zip.0* > whole.zip` for .001, .002, ..."
    )


def _is_last_part(path: Path) -> bool:
    """Tell the last part of a split zip, which looks like a whole one."""
    with open(path, "rb") as file:
        file.seek(-min(path.stat().st_size, LONGEST_END), 2)
        tail = file.read()
    at = tail.rfind(END_OF_ZIP)
    number = int.from_bytes(tail[at + 4 : at + 6], "little")
    return at >= 0 and number not in (0, 0xFFFF)  # the last one: see the record of Zip64


def _refuse_other(path: Path, name: str) -> None:
    """Say what a file is that is no zip or tar archive, and what to do."""
    with open(path, "rb") as file:
        head = file.read(6)
    if head.startswith(SPLIT) or LATER_PART.search(name):
        raise _part(name)
    if head.startswith(CUT):
        raise Damaged(f"{name}: damaged or incomplete archive; fetch it again")
    for magic, kind in OTHERS.items():
        if head.startswith(magic):
            raise UserError(f"{name}: a {kind} archive; pack it again as zip or tar.gz")
    kind = kind_of(path)
    if kind == PAGE:
        raise Damaged(
            f"{name}: an HTML page, not an archive; open its address in a browser (there may be a "
            "login, or another address behind a button), and name in data.source what comes then"
        )
    if kind == POINTER:
        raise Damaged(f"{name}: a Git LFS pointer, not the archive; {kind.remedy}")
    what = f"{kind.name}, and " if kind else ""
    raise UserError(
        f"{name}: {what}no zip or tar archive; name in data.source an archive, or the folder that "
        "holds the class folders"
    )


def _refuse_packed(folder: Path, name: str) -> None:
    """Raise UserError when what was unpacked is other archives, and no image."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    if any(_looks_like_image(path) for path in files):
        return
    inner = sorted(path for path in files if _starts(path, PACKED))
    if inner:
        first = ", ".join(path.relative_to(folder).as_posix() for path in inner[:3])
        more = f" and {len(inner) - 3} more" if len(inner) > 3 else ""
        raise UserError(
            f"{name}: holds other archives ({first}{more}) and no image; unpack it, and name in "
            "data.source the one with the images, or a folder with all of them unpacked"
        )


def _looks_like_image(path: Path) -> bool:
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith("image/") or _starts(path, IMAGE_STARTS)


def _starts(path: Path, magic: tuple[bytes, ...]) -> bool:
    with open(path, "rb") as file:
        return file.read(12).startswith(magic)


def _unpack_zip(path: Path, writer: "_Writer") -> bool:
    """Unpack a zip archive; return False when it is none."""
    if not zipfile.is_zipfile(path):
        return False
    if _is_last_part(path):
        raise _part(writer.name)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            target = writer.target(member.filename)
            if member.flag_bits & 1:
                raise UserError(
                    f"{writer.name}: member {member.filename!r} is encrypted; unpack it first"
                )
            if stat.S_ISLNK(member.external_attr >> 16):
                raise UserError(
                    f"{writer.name}: member {member.filename!r} is a link; pack it again without"
                )
            if member.filename.endswith("/"):
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
            target = writer.target(member.name)
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

    def target(self, name: str) -> Path:
        """Return where the next member goes, or refuse it. Both kinds of slash part a name."""
        self.members += 1
        if self.members > self.limits.max_members:
            self._refuse(f"more than {self.limits.max_members} members", "max_members")
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in (parts.parts or ("",))[0]:
            raise UserError(
                f"{self.name}: member {name!r} would leave the folder; pack it again without"
            )
        return self.folder / parts

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

    def _refuse(self, what: str, key: str) -> None:
        raise UserError(
            f"{self.name}: {what}, which may be an attack on the disk; raise data.archive.{key} in "
            "params.yaml if it is not"
        )
