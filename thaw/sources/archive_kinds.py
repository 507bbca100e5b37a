"""What an archive is that cannot be unpacked, or that holds something else than images."""

import bz2
import gzip
import lzma
import mimetypes
import re
import zlib
from pathlib import Path

from thaw.images.file_kinds import PAGE, POINTER, kind_of
from thaw.project.errors import UserError

CUT = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")  # how readable kinds begin
OTHERS = {b"7z\xbc\xaf": "7z", b"Rar!": "RAR", b"\x28\xb5\x2f\xfd": "Zstandard"}
PACKED = (*CUT, *OTHERS)  # how files begin that are archives, by their content
AT_TAR, TAR = 257, b"ustar"  # where in a tar archive this stands
BLOCK = 512  # bytes of a tar archive's first member
SPLIT = b"PK\x07\x08"  # how the first part of a split zip begins
LATER_PART = re.compile(
    r"\.(z\d\d|\d{3}|(zip|tar|tgz|gz|bz2|xz)\.a[a-z]|part_?\d+)$", re.IGNORECASE
)
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


def part(name: str) -> UserError:
    return UserError(
        f"{name}: a part of a split archive; join the parts first: `zip -s 0 pets.zip --out "
        "whole.zip` for .z01, .z02, ...; `cat pets.zip.* > whole.zip` for .001 or .aa"
    )


def is_last_part(path: Path) -> bool:
    """Tell the last part of a split zip, which looks like a whole one."""
    with open(path, "rb") as file:
        file.seek(-min(path.stat().st_size, LONGEST_END), 2)
        tail = file.read()
    at = tail.rfind(END_OF_ZIP)
    number = int.from_bytes(tail[at + 4 : at + 6], "little")
    return at >= 0 and number not in (0, 0xFFFF)  # the last one: see the record of Zip64


def refuse_other(path: Path, name: str) -> None:
    """Say what a file is that is no zip or tar archive, and what to do."""
    with open(path, "rb") as file:
        head = file.read(6)
    if head.startswith(SPLIT) or LATER_PART.search(name):
        raise part(name)
    if not head:
        raise Damaged(f"{name}: an empty file; fetch it again")
    if head.startswith(CUT):
        if _packs_a_file(path):
            raise UserError(f"{name}: packs a single file that is no tar archive; unpack it")
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
    raise Damaged(
        f"{name}: {what}no zip or tar archive; name in data.source an archive, or the folder that "
        "holds the class folders"
    )


def _packs_a_file(path: Path) -> bool:
    """Tell one packed file from an archive that is cut off."""
    for opened in (gzip.open, bz2.open, lzma.open):
        try:
            with opened(path) as file:
                return bool(file.read(BLOCK))
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            continue
    return False


def refuse_packed(folder: Path, name: str) -> None:
    """Raise UserError when what was unpacked is other archives, and beside them hardly an image."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    inner = sorted(path for path in files if _is_packed(path))
    images = [path for path in files if _looks_like_image(path)]
    beside = {path.parent for path in inner}
    if inner and len(images) <= len(inner) and all(path.parent in beside for path in images):
        first = ", ".join(path.relative_to(folder).as_posix() for path in inner[:3])
        more = f" and {len(inner) - 3} more" if len(inner) > 3 else ""
        raise UserError(
            f"{name}: holds other archives ({first}{more}) and no classes; unpack it, and name in "
            "data.source the one with the images, or a folder with all of them unpacked"
        )


def _looks_like_image(path: Path) -> bool:
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind.startswith("image/") or _starts(path, IMAGE_STARTS)


def _is_packed(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(AT_TAR + len(TAR))
    return head.startswith(PACKED) or head[AT_TAR:] == TAR


def _starts(path: Path, magic: tuple[bytes, ...]) -> bool:
    with open(path, "rb") as file:
        return file.read(12).startswith(magic)
