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
STRIP = 512  # rows
Image.init()  # now, because threads that open their first picture at once trip over one another
# The audit checks data.max_megapixels before anything is decoded; Pillow's own limit would be a
# second one, at another number of pixels.
Image.MAX_IMAGE_PIXELS = None

Level = Annotated[int, Field(ge=0, le=255)]


class Pictures(Section):
    """How a file becomes pixels."""

    upright: bool
    background: Annotated[list[Level], Field(min_length=3, max_length=3)]
    reducing_gap: Annotated[float, Field(ge=1)] | None


def open_file(path: Path) -> Image.Image:
    """Read a picture's header. Raises OSError when it is of none of FORMATS, whatever its name."""
    return Image.open(path, formats=FORMATS)


def load(path: Path, size: int, settings: Pictures) -> np.ndarray:
    """Return a picture as uint8 (size, size, 3), RGB 0..255, as `to_rgb` gives it.

    The whole picture is squeezed to a square with Pillow's bilinear filter, which averages when it
    shrinks. A large JPEG is decoded at a half, a quarter or an eighth of its size, where each side
    keeps `reducing_gap` times `size` pixels. Raises OSError when the file cannot be decoded.
    """
    with open_file(path) as picture:
        if settings.reducing_gap:
            least = round(size * settings.reducing_gap)
            picture.draft(None, (least, least))  # does nothing but for JPEG
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
    if picture.mode.startswith("I;16"):
        picture = _eight_bits(picture)
    if picture.has_transparency_data:
        return _on_ground(picture, (*settings.background,))
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale 16 bits of grey to 8, with an alpha channel where one of the values is transparent."""
    values = np.asarray(picture)
    grey = Image.fromarray((values // 257).astype("uint8"))
    if "transparency" in picture.info:
        grey.putalpha(Image.fromarray((values != picture.info["transparency"]).view("uint8") * 255))
    return grey


def _on_ground(picture: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    """Put a picture on one colour, in strips, as RGBA takes a lot of memory."""
    whole = Image.new("RGB", picture.size, ground)
    for box in strips(picture):
        strip = picture.crop(box).convert("RGBA")
        whole.paste(strip, box, mask=strip)
    return whole


def strips(picture: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes (left, upper, right, lower) of the picture's strips, from the top."""
    width, height = picture.size
    for top in range(0, height, STRIP):
        yield 0, top, width, min(top + STRIP, height)


def orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 where there is none or a wrong one."""
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises all kinds; the pixels count, not what is said of them
        return 1
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
    paths: Sequence[Path], size: int, settings: Pictures, workers: int, folder: Path
) -> np.ndarray:
    """Decode pictures into pixels.npy in `folder` and return it memory-mapped.

    uint8 (len(paths), size, size, 3), row i is picture i.
    """
    shape = (len(paths), size, size, 3)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype="uint8", shape=shape)
    for part, batch in batches(paths, size, settings, 32, workers, "decode"):
        pixels[part] = batch
    return pixels
