"""Image files: which kinds are read, and how one becomes RGB."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from thaw.images import bands, sixteen_bits
from thaw.images.settings import Decoding
from thaw.project import snapshots
from thaw.project.errors import UserError

# What is recognised, by content. Pillow knows more, some by calling other programs (EPS). A JPEG
# may hold several photos of one scene (MPO); its first is the image.
IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
ORIENTATION = 0x0112  # EXIF tag
STRIP = 512  # rows
Image.init()  # now, because threads that open their first image at once trip over one another
# The validation checks data.max_megapixels before anything is decoded; Pillow's own limit would be
# a second one, at another number of pixels.
Image.MAX_IMAGE_PIXELS = None
# Else it prints a line for each TIFF of many bands; the validation says it once.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextmanager
def open_file(path: Path, sha256: str | None = None) -> Iterator[Image.Image]:
    """Give an image whose header is read, to decode it in the block.

    The file is read once. `sha256`: what the digest of these bytes must be, or None for any. Raises
    OSError when they are of none of IMAGE_FORMATS, and UserError when their digest is another.
    """
    with snapshots.opened(path) as file:
        if sha256 is not None and snapshots.sha256(file) != sha256:
            raise UserError(
                f"{path} is not the image that data/manifest.csv names; its content has changed",
                hint="run `dvc repro` again",
            )
        try:
            image = Image.open(file, formats=IMAGE_FORMATS)
        except UnidentifiedImageError:  # which names the bytes in memory
            raise UnidentifiedImageError(f"cannot identify image file {path}") from None
        with image:
            bands.note(image)
            sixteen_bits.note(image)
            yield image


def to_rgb(image: Image.Image, settings: Decoding) -> Image.Image:
    """Convert an image of any mode to RGB.

    Transparent places show `background` (RGB 0..255), values of 16 bits are scaled as `bits` says,
    and with `apply_exif_orientation` the image is turned as its EXIF data says. A moving one gives
    its first frame. Where nothing is to be done this is `image` itself. Raises what Pillow's
    decoders raise.
    """
    image.load()
    whole = bands.without_unnamed(image)
    whole = sixteen_bits.to_eight(whole, None if settings.bits == "auto" else settings.bits)
    if settings.apply_exif_orientation and orientation(whole) != 1:
        whole = ImageOps.exif_transpose(whole)
    if whole.has_transparency_data:
        return _on_ground(whole, (*settings.background,))
    return whole if whole.mode == "RGB" else whole.convert("RGB")


def _on_ground(image: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    """Put an image on one colour, in strips, as RGBA takes a lot of memory."""
    whole = Image.new("RGB", image.size, ground)
    for box in strips(image):
        strip = image.crop(box).convert("RGBA")
        whole.paste(strip, box, mask=strip)
    return whole


def strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes (left, upper, right, lower) of the image's strips, from the top."""
    width, height = image.size
    for top in range(0, height, STRIP):
        yield 0, top, width, min(top + STRIP, height)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 where there is none or a wrong one."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises all kinds; the pixels count, not what is said of them
        return 1
    return value if value in range(1, 9) else 1
