"""Decode pictures: the one way from a file to the pixels that a network sees."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field
from tqdm import tqdm

from stages.lib.params import Section

# What is recognised, by content. Pillow knows more, some by calling other programs (EPS). A JPEG
# may hold several views of one scene (MPO); its first is the picture.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
ORIENTATION = 0x0112  # EXIF tag
Image.init()  # now, because threads that open their first picture at once trip over one another
# The audit checks data.max_megapixels before anything is decoded; Pillow's own limit would be a
# second one, at another number of pixels.
Image.MAX_IMAGE_PIXELS = None

Level = Annotated[int, Field(ge=0, le=255)]


class Pictures(Section):
    """How a file becomes pixels."""

    upright: bool
    background: Annotated[list[Level], Field(min_length=3, max_length=3)]


def open_file(path: Path) -> Image.Image:
    """Read a picture's header. Raises OSError when it is of none of FORMATS, whatever its name."""
    return Image.open(path, formats=FORMATS)


def load(path: Path, size: int, settings: Pictures) -> np.ndarray:
    """Return a picture as uint8 (size, size, 3), RGB 0..255, as `to_rgb` gives it.

    The whole picture is squeezed to a square with Pillow's bilinear filter, which averages when it
    shrinks. Raises OSError when the file cannot be decoded.
    """
    with open_file(path) as picture:
        rgb = to_rgb(picture, settings)
        return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR))


def to_rgb(picture: Image.Image, settings: Pictures) -> Image.Image:
    """Convert a picture of any mode to RGB.

    Transparent places show `background` (RGB 0..255), 16 bits are scaled down to 8, and with
    `upright` the picture is turned as its EXIF data says. A moving one gives its first frame. Where
    nothing is to be done this is `picture` itself. Raises what Pillow's decoders raise.
    """
    picture.load()
    if settings.upright and orientation(picture) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (*settings.background, 255))
        return Image.alpha_composite(ground, picture).convert("RGB")
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) // 257).clip(0, 255).astype("uint8"))
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 where there is none or a wrong one."""
    value = picture.getexif().get(ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def slices(count: int, batch_size: int) -> list[slice]:
    """Cut range(count) into batches; a last batch of one joins the one before it.

    oneDNN computes a batch of one by another route, which differs by about 3e-7.
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and starts[-1] == count - 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], count])]


def batches(
    paths: Sequence[Path],
    size: int,
    settings: Pictures,
    batch_size: int,
    workers: int,
    progress: str,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Decode ahead on `workers` threads; yield each batch's rows and uint8 (k, size, size, 3).

    Shows a progress bar named `progress` on a terminal.
    """

    def stack(rows: slice) -> np.ndarray:
        return np.stack([load(path, size, settings) for path in paths[rows]])

    bar = tqdm(total=len(paths), desc=progress, unit=" pictures", disable=None)
    with ThreadPoolExecutor(workers) as pool, bar:
        waiting = deque(slices(len(paths), batch_size))
        ahead = deque()
        try:
            while waiting or ahead:
                while waiting and len(ahead) <= workers:
                    rows = waiting.popleft()
                    ahead.append((rows, pool.submit(stack, rows)))
                rows, batch = ahead.popleft()
                yield rows, batch.result()
                bar.update(rows.stop - rows.start)
        finally:
            pool.shutdown(cancel_futures=True)


def decode(
    paths: Sequence[Path],
    rows: np.ndarray,
    size: int,
    settings: Pictures,
    workers: int,
    file: Path,
) -> np.ndarray:
    """Decode some of the pictures into a new `.npy` file and return it memory-mapped.

    uint8 (len(paths), size, size, 3), row i is picture i; rows not in `rows` (int, any order) stay
    zero and take no space on the disk.
    """
    shape = (len(paths), size, size, 3)
    pixels = np.lib.format.open_memmap(file, mode="w+", dtype="uint8", shape=shape)
    wanted = [paths[row] for row in rows]
    for part, batch in batches(wanted, size, settings, 32, workers, "decode"):
        pixels[rows[part]] = batch
    return pixels
