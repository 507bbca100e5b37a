"""What is poor about an image itself: blank, dark, bright, blurred, of an odd shape.

The limits were set on the photos of docs/performance.md: photos of 256 pixels that were blurred by
a Gaussian of 3 pixels have a median detail of 0.018, those as they are have 0.1, and 99 of 100 have
over 0.03.
"""

import numpy as np
from PIL import Image

SIDE = 256  # pixels of the longer side at which images are judged
CONTRAST = 4.0  # grey levels, standard deviation; under it an image is blank
DARK, BRIGHT = 64, 192  # grey levels that 2 % of a dark image are over, of a bright one under
DETAIL = 0.02  # of the contrast that half the size would lose; under it an image is blurred
DETAIL_SIDE = 64  # pixels: a smaller image has no detail to miss
SHAPE = 3.0  # times as long as wide


def signs(image: Image.Image) -> list[str]:
    """Return what is poor about an image, of any mode and of at most SIDE pixels a side."""
    grey = image.convert("L")
    levels = np.asarray(grey, "float32")
    contrast = float(levels.std())
    if contrast < CONTRAST:
        return ["blank"]
    low, high = np.percentile(levels, [2, 98])
    said = [name for name, so in (("dark", high < DARK), ("bright", low > BRIGHT)) if so]
    if min(grey.size) >= DETAIL_SIDE and _detail(grey, levels) < DETAIL * contrast:
        said.append("blurred")
    return said


def odd_shape(width: int, height: int) -> list[str]:
    sides = sorted((width, height))
    return [f"{width} x {height} pixels"] if sides[1] > SHAPE * sides[0] else []


def _detail(grey: Image.Image, levels: np.ndarray) -> float:
    """Return by how many grey levels the image differs from half its size, enlarged again."""
    half = grey.resize([side // 2 for side in grey.size], Image.Resampling.BOX)
    back = half.resize(grey.size, Image.Resampling.BILINEAR)
    return float(np.abs(levels - np.asarray(back, "float32")).mean())
