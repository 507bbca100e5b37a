"""Images as small as a page shows them."""

from pathlib import Path

from PIL import Image

from thaw.images import image_files
from thaw.images.settings import Decoding


def read(file: Path, decoding: Decoding, side: int, sha256: str | None = None) -> Image.Image:
    """Return an image as RGB in its own shape, at most `side` pixels a side.

    Raises UserError when it has another digest than `sha256`, and what Pillow's decoders raise.
    """
    with image_files.open_file(file, sha256) as image:
        image.draft(None, (2 * side, 2 * side))  # does nothing but for JPEG
        small = image_files.to_rgb(image, decoding)
        small.thumbnail((side, side))  # in place: a copy of the whole would take as much again
        return small.copy()
