"""Inspect one image: what it is, and whether it is valid."""

import hashlib
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from thaw.data.duplicates import perceptual_hash
from thaw.images import bands, sixteen_bits
from thaw.images.image_checks import check_kind, opened
from thaw.images.image_files import orientation, strips, to_rgb
from thaw.images.settings import Decoding
from thaw.project import snapshots

FIRST_FRAME = ("GIF", "PNG", "TIFF")  # moving or many pages: the first is the image
LARGE = 16_000_000  # pixels
one_large_image = threading.Lock()


class Facts(NamedTuple):
    """What the manifest says of an image.

    sha256 is of the very bytes that were decoded, pixel_sha256 of its size and RGB pixels as they
    will be used, phash the perceptual hash of those (hexadecimal, "" for none). mode is Pillow's,
    with an X where there are further bands; width and height are in pixels after turning;
    orientation is the EXIF value, 1 to 8; more_frames, "yes" or "", tells of further frames or
    pages that are not used; largest is the largest value of an image of 16 bits a value, "" for all
    other.
    """

    sha256: str
    pixel_sha256: str
    phash: str
    format: str
    mode: str
    width: int
    height: int
    orientation: int
    more_frames: str
    largest: int | str


def inspect(path: Path, settings: Decoding, min_side: int, max_pixels: int) -> Facts:
    """Decode one file, or the one that a link leads to, and return its facts.

    Raises InvalidImage when it is no file, a link that leads nowhere, is not one whole image of a
    known format, or has a side under `min_side` or more than `max_pixels` (both in pixels, seen
    before decoding).
    Raises OSError when it cannot be read, and UserError when there is too little memory for it.
    """
    check_kind(path)
    with opened(path, min_side, max_pixels) as image, turn(image):
        digest = snapshots.sha256(image.fp)
        more = image.format in FIRST_FRAME and getattr(image, "is_animated", False)
        rgb, largest = to_rgb(image, settings), sixteen_bits.largest(image)
        return Facts(
            sha256=digest,
            pixel_sha256=pixel_sha256(rgb),
            phash=perceptual_hash(rgb),
            format=image.format,
            mode=bands.name(image),
            width=rgb.width,
            height=rgb.height,
            orientation=orientation(image),
            more_frames="yes" if more else "",
            largest="" if largest is None else largest,
        )


def turn(image: Image.Image) -> AbstractContextManager:
    """Let large images be decoded one at a time; the others at will."""
    width, height = image.size
    return one_large_image if width * height > LARGE else nullcontext()


def pixel_sha256(image: Image.Image) -> str:
    """Digest the size and the pixels, in strips, as a large image is not to be there twice."""
    digest = hashlib.sha256("{} x {}".format(*image.size).encode())
    for box in strips(image):
        digest.update(image.crop(box).tobytes())
    return digest.hexdigest()
