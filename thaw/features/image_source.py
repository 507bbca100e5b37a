"""The images that pass a network, and their augmented copies."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thaw.features import int8
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.project.settings import Runtime

if TYPE_CHECKING:
    import tensorflow as tf


class ImageSource(NamedTuple):
    """Images: their files, the files' digests (for the store), and how they are decoded.

    train: the rows of training images, which int8 needs, int (t,).
    """

    images: Sequence[Path]
    digests: Sequence[str]
    decoding: Decoding
    runtime: Runtime
    train: Sequence[int] = ()

    def loader(self, size: int) -> ImageLoader:
        """Return what loads the images at `size` pixels a side, each held to its digest."""
        known = dict(zip(self.images, self.digests, strict=True))
        return ImageLoader(size, self.decoding, self.runtime.threads, known)

    def calibrating(self) -> "ImageSource":
        """Return the training images that int8 is calibrated on."""
        chosen = int8.chosen([self.digests[row] for row in self.train])
        rows = [self.train[place] for place in chosen]
        images, digests = ([each[row] for row in rows] for each in (self.images, self.digests))
        return self._replace(images=images, digests=digests, train=range(len(rows)))

    def pixels(self, size: int) -> np.ndarray:
        """Return all images, uint8 (n, size, size, 3)."""
        batches = self.loader(size).batches(self.images, self.runtime.batch_size, "calibrate")
        return np.concatenate([pixels for _, pixels in batches])


class AugmentedCopies(NamedTuple):
    """Augmented copies of images.

    make: makes what augments, from pixels uint8 (k, h, w, 3) and seeds int64 (k,) to float32
    pixels. seeds: of each image's copies, int64 (n, copies). provenance: what tells them from other
    ones, for the keys.
    """

    make: Callable[[], Callable[[np.ndarray, np.ndarray], "tf.Tensor"]]
    seeds: np.ndarray
    provenance: dict
