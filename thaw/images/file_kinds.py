"""What a file is that is no image and no archive which can be read, and what to do about it."""

from pathlib import Path
from typing import NamedTuple

from PIL.TiffImagePlugin import PREFIXES, ImageFileDirectory_v2

from thaw.project.encoding import BYTE_ORDER_MARKS, decoded

HEAD = 4096  # bytes that are looked at
SPACE = b"\xef\xbb\xbf \t\r\n"  # before the first word of a text
BITS, PHOTOMETRIC, BANDS = 258, 262, 277  # TIFF tags
CANON = b"CR"  # at byte 8 of a TIFF
COLOUR_FILTERS = 32803  # of PHOTOMETRIC: what a camera's sensor gives


class Kind(NamedTuple):
    """What a file is, why that does not do for an image, and what to do."""

    name: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}{self.why}; {self.remedy}"


PAGE = Kind("an HTML page", ", not an image", "fetch it again")
POINTER = Kind("a Git LFS pointer", ", not the file", "run `git lfs pull` where it is from")
SAVE = "save it as JPEG or PNG"
RAW = Kind("a RAW photo", ", of which only a camera's preview can be read", f"develop it: {SAVE}")
TEXTS = {
    b"<!doctype html": PAGE,
    b"<html": PAGE,
    b"<head": PAGE,
    b"<!--": PAGE,
    b"<script": PAGE,
    b"<svg": Kind("SVG or another XML file", "", "save it as PNG"),
    b"<?xml": Kind("SVG or another XML file", "", "save it as PNG"),
    b"version https://git-lfs.github.com": POINTER,
}
MATLAB = Kind("MATLAB data", ", not an image", "write its images as PNG")
PACKED = Kind("an archive", ", not an image", "unpack it")
STARTS = {
    b"\x93NUMPY": Kind("a NumPy array", ", not an image", "write its images as PNG"),
    b"MATLAB ": MATLAB,
    b"\x89HDF\r\n\x1a\n": Kind("HDF5 data", ", not an image", "write its images as PNG"),
    b"PK\x03\x04": PACKED._replace(name="a zip archive (or .npz, .docx)"),
    b"\x1f\x8b": PACKED._replace(name="a gzip file"),
    b"7z\xbc\xaf": PACKED._replace(name="a 7z archive"),
    b"Rar!": PACKED._replace(name="a RAR archive"),
    b"%PDF": Kind("PDF", ", not an image", "save its pages as PNG"),
    b"8BPS": Kind("a Photoshop file", ", which Pillow cannot flatten", SAVE),
    b"SIMPLE  =": Kind("FITS", ", which Pillow cannot scale", "save it as PNG"),
    b"\xff\x0a": Kind("JPEG XL", ", which Pillow cannot read", SAVE),
    b"\0\0\0\x0cJXL ": Kind("JPEG XL", ", which Pillow cannot read", SAVE),
    b"FUJIFILMCCD-RAW": RAW,
    b"IIU\0": RAW,  # Panasonic
    b"IIRO": RAW,  # Olympus
    b"IIRS": RAW,
    b"FOVb": RAW,  # Sigma
    b"\0MRM": RAW,  # Minolta
}
BRANDS = {  # of files that begin with a box ftyp (ISO 14496-12), at byte 8
    **dict.fromkeys(
        (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"),
        Kind("HEIC", ", which Pillow cannot read", SAVE),
    ),
    b"crx ": RAW,
    **dict.fromkeys(
        (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5"),
        Kind("a video", ", not an image", "save the frames that are meant"),
    ),
}
DICOM = Kind("DICOM", ", which has no fixed range", "save it as PNG, all with the same window")


def kind_of(path: Path) -> Kind | None:
    """Tell what a file is by its content; None if that is not known."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    text = head.lstrip(SPACE).lower()
    if head.startswith(BYTE_ORDER_MARKS):  # of UTF-16
        text = decoded(head, "ignore").encode().strip().lower()
    if text.startswith(b"<?xml") and b"<html" in text:
        return PAGE
    for start, kind in TEXTS.items():
        if text.startswith(start):
            return kind
    if head[128:132] == b"DICM":
        return DICOM
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    for start, kind in STARTS.items():
        if head.startswith(start):
            return kind
    if head[:4] not in PREFIXES:
        return None
    return RAW if head[8:10] == CANON else _of_tiff(path)


def _of_tiff(path: Path) -> Kind | None:
    """Name the bands and bits of a TIFF that Pillow does not know."""
    try:
        with open(path, "rb") as file:
            tags = ImageFileDirectory_v2(file.read(8))
            file.seek(tags.next)
            tags.load(file)
            bands, bits = tags.get(BANDS, 1), max(tags[BITS])
            if tags.get(PHOTOMETRIC) == COLOUR_FILTERS:
                return RAW
    except Exception:  # Pillow raises all kinds of a damaged file
        return None
    return Kind(
        f"a TIFF of {bands} band{'s' if bands > 1 else ''} of {bits} bits",
        ", which Pillow cannot read",
        "save the three that are to be seen as RGB, or one as grey, with 8 bits",
    )
