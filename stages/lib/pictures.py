"""Decode pictures: the one way from a file to the pixels that a network sees."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

TRANSPARENT_SHOWS = (255, 255, 255)


def load(path: Path, size: int) -> np.ndarray:
    """Return a picture as uint8 (size, size, 3), RGB 0..255, turned upright as its EXIF data says.

    The whole picture is squeezed to a square with Pillow's bilinear filter, which averages when it
    shrinks. Raises OSError when the file cannot be decoded.
    """
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        return np.asarray(to_rgb(upright).resize((size, size), Image.Resampling.BILINEAR))


def to_rgb(picture: Image.Image) -> Image.Image:
    """Convert any mode to RGB: what is transparent shows white, 16 bits are scaled down to 8."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (*TRANSPARENT_SHOWS, 255))
        return Image.alpha_composite(ground, picture).convert("RGB")
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) // 257).clip(0, 255).astype("uint8"))
    return picture.convert("RGB")


def slices(count: int, batch_size: int) -> list[slice]:
    """Cut range(count) into batches; a last batch of one joins the one before it.

    oneDNN computes a batch of one by another route, which differs by about 3e-7.
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and starts[-1] == count - 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], count])]


def batches(
    paths: Sequence[Path], size: int, batch_size: int, workers: int, progress: str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Decode ahead on `workers` threads; yield each batch's rows and uint8 (k, size, size, 3).

    Shows a progress bar named `progress` on a terminal.
    """

    def stack(rows: slice) -> np.ndarray:
        return np.stack([load(path, size) for path in paths[rows]])

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
    paths: Sequence[Path], rows: np.ndarray, size: int, workers: int, file: Path
) -> np.ndarray:
    """Decode some of the pictures into a new `.npy` file and return it memory-mapped.

    uint8 (len(paths), size, size, 3), row i is picture i; rows not in `rows` (int, any order) stay
    zero and take no space on the disk.
    """
    shape = (len(paths), size, size, 3)
    pixels = np.lib.format.open_memmap(file, mode="w+", dtype="uint8", shape=shape)
    for part, batch in batches([paths[row] for row in rows], size, 32, workers, "decode"):
        pixels[rows[part]] = batch
    return pixels
