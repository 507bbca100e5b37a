"""The files of a source as they lie there: which may be images, and what systems leave."""

import mimetypes
import os
from pathlib import Path

from thaw.project.errors import UserError
from thaw.sources import links

# what systems and network disks leave, besides hidden files
CLUTTER = {
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx",
    "@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "@recently-snapshot", ".snapshot",
    "$recycle.bin", "recycler", "system volume information", "lost+found", "found.000",
    "network trash folder", "temporary items",
}  # fmt: skip
IMAGES = {".jp2", ".j2k", ".jpx", ".pgm", ".ppm", ".pnm", ".pbm", ".avif", ".webp", ".tif", ".jfif"}
# tables, notes and archives, and their usual names; by content such a file may be an image still
OTHERS = {
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".md", ".rst", ".yaml", ".yml", ".py",
    ".ipynb", ".log", ".lst", ".names", ".xls", ".xlsx", ".ods", ".parquet", ".arrow", ".dvc",
    ".sh", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar",
}  # fmt: skip
NOTES = {
    "readme", "license", "licence", "copying", "changelog", "notice", "makefile", "dockerfile",
    "corrections",  # what tools.review wrote, where images/ itself is the source
}  # fmt: skip
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"\0\0\0\x0cjP")


def entries(folder: Path) -> list[Path]:
    """List all that lies below a folder, also in linked ones; what systems leave may be locked."""
    return links.entries(folder, lambda path: _in_clutter(path.relative_to(folder)))


def files(folder: Path) -> list[Path]:
    """List the files below a folder, also in linked ones, but for what systems leave and hide."""
    return [path for path in entries(folder) if not _in_clutter(path.relative_to(folder))]


def folders(folder: Path) -> list[str]:
    """List the folders below a folder as paths from it on, sorted, but for those of systems."""
    below = []
    for root, names, _ in os.walk(folder, onerror=_stop):
        names[:] = [name for name in names if not is_clutter(Path(name))]
        inside = (Path(root, name) for name in names)
        below += [path.relative_to(folder).as_posix() for path in inside]
    return sorted(below)


def is_clutter(path: Path) -> bool:
    return path.name.startswith((".", "~$")) or path.name.lower() in CLUTTER


def _in_clutter(path: Path) -> bool:
    return any(is_clutter(Path(part)) for part in path.parts)


def is_image_by_name(name: str) -> bool:
    """Tell whether a name has the ending of an image."""
    kind = mimetypes.guess_type(name)[0] or ""
    return kind.startswith("image/") or os.path.splitext(name)[1].lower() in IMAGES


def may_be_image(path: Path) -> bool:
    """Tell whether a file is to be looked at: all but tables, notes and archives are."""
    stem, ending = os.path.splitext(path.name.lower())
    if ending not in OTHERS and (ending or stem not in NOTES):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(8).startswith(MAGIC)
    except OSError:
        return False


def check_name(path: Path) -> None:
    """Raise UserError when a name is not UTF-8, or has what many take for the end of a line."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"{os.fsencode(path)!r}: this name is not UTF-8; rename the file") from None
    if "\r" in str(path):
        raise UserError(f"{str(path)!r}: this name has a carriage return in it; rename the file")


def _stop(error: OSError) -> None:
    raise error
