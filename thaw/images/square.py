"""How an image becomes the square that a network sees."""

from PIL import Image, ImageOps

from thaw.images.settings import Decoding

FITS = {
    "stretch": "the whole image, squeezed",
    "pad": "the whole image in its own shape, in the middle of a square of background",
    "crop": "the largest square in the middle of the image",
}
FILTER = Image.Resampling.BILINEAR  # averages when it shrinks


def square(image: Image.Image, size: int, settings: Decoding) -> Image.Image:
    """Return an RGB image of any shape as one of size x size pixels, as FITS says of `fit`."""
    if settings.fit == "stretch":
        return image.resize((size, size), FILTER)
    if settings.fit == "crop":
        return ImageOps.fit(image, (size, size), FILTER)
    left, top, right, bottom = inside(image.size, size)
    ground = Image.new("RGB", (size, size), (*settings.background,))
    ground.paste(image.resize((right - left, bottom - top), FILTER), (left, top))
    return ground


def inside(shape: tuple[int, int], size: int) -> tuple[int, int, int, int]:
    """Return where `pad` puts an image of this shape (width, height): left, top, right, bottom.

    As ImageOps.pad, but that the thinnest image keeps a pixel.
    """
    width, height = shape
    if width > height:
        width, height = size, max(1, round(height / width * size))
    else:
        width, height = max(1, round(width / height * size)), size
    left, top = round((size - width) * 0.5), round((size - height) * 0.5)
    return left, top, left + width, top + height


def own_shape(seen: Image.Image, shape: tuple[int, int], side: int, fit: str) -> Image.Image:
    """Return what a network saw as a square in the image's own `shape`, `side` pixels at most.

    Of crop, where it saw no more than a square, that is the square.
    """
    if fit == "crop":
        return seen.resize((side, side), FILTER)
    if fit == "pad":
        seen = seen.crop(inside(shape, seen.width))
    return seen.resize([max(1, round(side * each / max(shape))) for each in shape], FILTER)
