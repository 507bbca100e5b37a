"""Whether a file is an image that can be used and, if not, why."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from thaw.images.file_kinds import CANON, RAW, kind_of
from thaw.images.image_files import open_file
from thaw.project import snapshots
from thaw.project.errors import UserError

UNKNOWN_RANGE = ("I", "F")  # 32-bit integers and floats, by Pillow's names
MOVING = ("WEBP", "AVIF")  # of these a moving one is invalid
SUBFILE, SUB_IFDS, DNG_VERSION = 254, 330, 50706  # TIFF tags
# part of where a link leads: how to have the file there
STORES = {
    ".git/annex/": "it is git-annex', run `git annex get .`",
    "/files/md5/": "it is DVC's, run `dvc pull` or `dvc checkout` where it is from",
    "/blobs/": "it is of a Hugging Face snapshot, download that again",
}


class InvalidImage(Exception):
    """Why a file cannot be used, in a few words."""


def check_kind(path: Path) -> None:
    """Raise InvalidImage when this is no file with something in it, and OSError when it is missing.

    Links are followed, and one that leads nowhere is invalid.
    """
    try:
        kind = os.stat(path)
    except OSError:
        if path.is_symlink():
            raise InvalidImage(_dangling(os.readlink(path))) from None
        raise
    if stat.S_ISDIR(kind.st_mode):
        what = "a link to a folder" if path.is_symlink() else "a folder"
        raise InvalidImage(f"{what}; put the files themselves there")
    if not stat.S_ISREG(kind.st_mode):
        raise InvalidImage("a device, pipe or socket, not a file")
    if kind.st_size == 0:
        raise InvalidImage("empty file")


def _dangling(target: str) -> str:
    """Say what a link lacks, by where it leads: what tools keep files apart by links."""
    for part, advice in STORES.items():
        if part in target.replace(os.sep, "/"):
            return f"a link that leads nowhere; {advice}"
    return "a link that leads nowhere"


@contextmanager
def opened(path: Path, min_side: int, max_pixels: float) -> Iterator[Image.Image]:
    """Give an image whose header is read and whose pixels are not, to decode it in the block.

    Raises InvalidImage when it is not one whole image of a known format, or has a side under
    `min_side` or more than `max_pixels` (both in pixels, seen before decoding); whatever decoders
    raise in the block becomes one, too. Raises OSError when the file cannot be read, and UserError
    when there is too little memory for it.
    """
    try:
        with open_file(path) as image:
            _check_header(image, min_side, max_pixels)
            if _is_raw(image):
                raise InvalidImage(str(RAW))
            if image.format == "PNG":
                _verify(image)
            yield image
    except (InvalidImage, UserError):
        raise
    except UnidentifiedImageError:
        raise InvalidImage(str(kind_of(path) or "no known image format")) from None
    except MemoryError:
        raise UserError(
            f"{path}: too little memory to decode it; lower data.max_megapixels in params.yaml, or "
            "free some"
        ) from None
    except Exception as error:  # decoders raise all kinds; whichever it is, this is no image
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault or a missing permission, not the image's
        said = " ".join(str(error).replace(str(path), "file").split()) or type(error).__name__
        raise InvalidImage(f"damaged: {said}") from None


def _check_header(image: Image.Image, min_side: int, max_pixels: float) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise InvalidImage(
            f"{width} x {height} pixels are more than data.max_megapixels ({max_pixels / 1e6:g}) "
            "allows"
        )
    if min(width, height) < min_side:
        raise InvalidImage(f"{width} x {height} pixels: a side is under data.min_side ({min_side})")
    if image.format in MOVING and getattr(image, "is_animated", False):
        raise InvalidImage(f"a moving {image.format}; save the frame that is meant")
    # of PGM Pillow brings whole numbers to 16 bits
    if image.mode in UNKNOWN_RANGE and (image.format, image.mode) != ("PPM", "I"):
        raise InvalidImage(
            f"values of mode {image.mode} have no known range; save it with 8 or 16 bits"
        )


def _verify(image: Image.Image) -> None:
    """Compare a PNG's checksums, which decoding leaves out. Raises what Pillow raises."""
    place = image.fp.tell()
    with Image.open(image.fp, formats=["PNG"]) as same:
        same.verify()
    image.fp.seek(place)


def _is_raw(image: Image.Image) -> bool:
    """Tell a camera's file, a TIFF whose first image is a preview, from a TIFF that is an image."""
    if image.format != "TIFF":
        return False
    canon = snapshots.beginning(image.fp, 10)[8:] == CANON
    preview = image.tag_v2.get(SUBFILE) == 1 and SUB_IFDS in image.tag_v2
    return canon or preview or DNG_VERSION in image.tag_v2
