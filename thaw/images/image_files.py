"""Image files: which kinds are read, and how one becomes RGB."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from thaw.images.settings import Decoding

# What is recognised, by content. Pillow knows more, some by calling other programs (EPS). A JPEG
# may hold several photos of one scene (MPO); its first is the image.
IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
ORIENTATION = 0x0112  # EXIF tag
STRIP = 512  # rows
Image.init()  # now, because threads that open their first image at once trip over one another
# The validation checks data.max_megapixels before anything is decoded; Pillow's own limit would be
# a second one, at another number of pixels.
Image.MAX_IMAGE_PIXELS = None


def open_file(path: Path) -> Image.Image:
    """Read an image's header. Raises OSError when its content is of none of IMAGE_FORMATS."""
    return Image.open(path, formats=IMAGE_FORMATS)


def to_rgb(image: Image.Image, settings: Decoding) -> Image.Image:
    """Convert an image of any mode to RGB.

    Transparent places show `background` (RGB 0..255), 16 bits are scaled down to 8, and with
    `apply_exif_orientation` the image is turned as its EXIF data says. A moving one gives its first
    frame. Where nothing is to be done this is `image` itself. Raises what Pillow's decoders raise.
    """
    image.load()
    if image.format == "PPM" and image.mode == "I":  # 0..65535, whatever the file's largest value
        image = Image.fromarray((np.asarray(image) // 257).astype("uint8"))
    if settings.apply_exif_orientation and orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        return _on_ground(image, (*settings.background,))
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16 bits of grey to 8, with an alpha channel where one of the values is transparent."""
    values = np.asarray(image)
    grey = Image.fromarray((values // 257).astype("uint8"))
    if "transparency" in image.info:
        grey.putalpha(Image.fromarray((values != image.info["transparency"]).view("uint8") * 255))
    return grey


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
