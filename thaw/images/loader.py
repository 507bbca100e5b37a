"""Load images: the one way from a file to the pixels that a network sees."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from thaw.images.image_files import open_file, to_rgb
from thaw.images.settings import Decoding
from thaw.images.square import square
from thaw.project import files
from thaw.project.errors import UserError

TO_FILE = 32  # images at a time, on the way to a file
Item = TypeVar("Item")
Result = TypeVar("Result")


class ImageLoader(NamedTuple):
    """Loads images as RGB squares of `size` pixels a side; many of them on `workers` threads.

    digests: the SHA-256 digest of each file, or None for any. A file that has another one by now
    raises UserError, so that what is decoded is what was hashed.
    """

    size: int
    decoding: Decoding
    workers: int = 1
    digests: Mapping[Path, str] | None = None

    def load(self, path: Path) -> np.ndarray:
        """Return an image as uint8 (size, size, 3), RGB 0..255, as `to_rgb` gives it.

        It becomes a square as `square` says, after it was turned upright. A large JPEG is decoded
        at a half, a quarter or an eighth of its size, where each side keeps `reducing_gap` times
        `size` pixels. Raises OSError when the file cannot be decoded, and UserError when one of
        `digests` is missing.
        """
        digest = self.digests[path] if self.digests else None
        if digest and not path.exists():  # DVC does not say it: data/raw is no stage's dep
            raise UserError(
                f"{path} is missing, which data/manifest.csv names",
                hint="`dvc checkout data/raw` or `dvc pull data/raw` brings it back",
            )
        with open_file(path, digest) as image:
            return self.pixels(image)

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Return what `load` does of an image that is opened and not decoded."""
        if self.decoding.reducing_gap:
            least = round(self.size * self.decoding.reducing_gap)
            image.draft(None, (least, least))  # does nothing but for JPEG
        return np.asarray(square(to_rgb(image, self.decoding), self.size, self.decoding))

    def stack(self, paths: Sequence[Path]) -> np.ndarray:
        """Return images as uint8 (len(paths), size, size, 3); of none, an array without rows."""
        loaded = [self.load(path) for path in paths]
        return np.array(loaded, "uint8").reshape(-1, self.size, self.size, 3)

    def batches(
        self, paths: Sequence[Path], batch_size: int, progress: str
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Load ahead; yield each batch's rows and pixels, uint8 (k, size, size, 3).

        Shows a progress bar named `progress` on a terminal.
        """
        parts = slices(len(paths), batch_size)
        loaded = prefetch(lambda rows: self.stack(paths[rows]), parts, self.workers)
        with tqdm(total=len(paths), desc=progress, unit=" images", disable=None) as bar:
            for rows, pixels in zip(parts, loaded, strict=True):
                yield rows, pixels
                bar.update(rows.stop - rows.start)

    def to_file(self, paths: Sequence[Path], folder: Path) -> np.ndarray:
        """Load images into pixels.npy in `folder` and return it memory-mapped.

        uint8 (len(paths), size, size, 3), row i is image i.
        """
        shape, file = (len(paths), self.size, self.size, 3), folder / "pixels.npy"
        pixels = np.lib.format.open_memmap(file, "w+", "uint8", shape)
        files.reserve(file, file.stat().st_size)
        for rows, batch in self.batches(paths, TO_FILE, "decode"):
            pixels[rows] = batch
        return pixels


def prefetch(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Yield function(item) of each item, in order; `workers` threads compute a few ahead."""
    waiting, ahead = iter(items), deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in waiting:
                ahead.append(pool.submit(function, item))
                if len(ahead) > workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def slices(count: int, batch_size: int) -> list[slice]:
    """Cut range(count) into batches; a last batch of one joins the one before it.

    oneDNN computes a batch of one by another route, which differs by about 3e-7.
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and starts[-1] == count - 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], count])]
