"""Which bands of a file are colours, which is transparency, and which are neither."""

import struct

from PIL import Image
from PIL.TiffImagePlugin import OPEN_INFO

from thaw.project import snapshots

BANDS = 277  # TIFF tag
ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")  # modes with a band for transparency
UNNAMED = "unnamed_band"  # in an image's info: its last band is no transparency
HEADER = 4096  # bytes in which a JPEG 2000 file says what its bands are
OPACITY = (1, 2)  # types of such a band: plain, or multiplied into the colours

# Where a TIFF does not say what its fourth band is, Pillow 13.0.0 takes it for transparency.
for key, (mode, packed) in [*OPEN_INFO.items()]:
    if mode == "RGBA" and not key[-1]:
        OPEN_INFO[key] = "RGB", packed.replace("RGBA", "RGBX")


def note(image: Image.Image) -> None:
    """Note in the info of a newly opened image where its file names no band as transparency.

    Pillow 13.0.0 takes the last of two or four bands of JPEG 2000 for it in any case.
    """
    if image.format == "JPEG2000" and image.mode in ALPHA and not _names_opacity(image):
        image.info[UNNAMED] = True


def _names_opacity(image: Image.Image) -> bool:
    """Look for an opacity channel in the box cdef (ISO 15444-1, I.5.3.6)."""
    _, found, box = snapshots.beginning(image.fp, HEADER).partition(b"cdef")
    count = int.from_bytes(box[:2]) if found else 0
    channels = struct.iter_unpack(">HHH", box[2 : 2 + 6 * count][: len(box[2:]) // 6 * 6])
    return any(kind in OPACITY for _, kind, _ in channels)


def without_unnamed(image: Image.Image) -> Image.Image:
    """Return a loaded image without the band that `note` found; else `image` itself."""
    return image.convert(image.mode[:-1]) if UNNAMED in image.info else image


def name(image: Image.Image) -> str:
    """Return Pillow's mode, with an X for further bands that are not used: RGBX, LX."""
    if UNNAMED in image.info:
        return f"{image.mode[:-1]}X"
    further = image.format == "TIFF" and image.tag_v2.get(BANDS, 1) > len(image.getbands())
    return f"{image.mode}X" if further else image.mode
