"""What the page answers to an image: its classes, where the network looks, similar images."""

import base64
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from thaw.images import image_checks, square
from thaw.project import paths
from thaw.project.errors import UserError
from thaw.sources.settings import Data
from tools.serving import batch_predict, small_image
from tools.serving.neighbours import Neighbour
from tools.serving.predictor import Predictor

NEAREST = 5
SIDE = 224  # pixels of the longer side of what the page shows
DIGITS = 6  # of a probability


class Refused(Exception):
    """Why a file gets no answer, in a few words that name no place on this machine."""


class TooLarge(Refused):
    """A file of more bytes than are taken."""


class Responder:
    """Answers images, one at a time; whoever calls it sees to that.

    data: says which images are valid. largest: bytes of an image's file. overlay: from pixels uint8
    (1, size, size, 3) and a class to the same with the class's heatmap over them; None without
    Grad-CAM. nearest: from a file and a number to so many neighbours; None without features.
    """

    def __init__(
        self,
        predictor: Predictor,
        data: Data,
        largest: int,
        overlay: Callable[[np.ndarray, int], np.ndarray] | None,
        nearest: Callable[[Path, int], list[Neighbour]] | None,
    ):
        self.predictor, self.data, self.largest = predictor, data, largest
        self.overlay, self.nearest = overlay, nearest

    def predict(self, content: bytes) -> dict:
        """Return the likeliest class and the probability of each, the likeliest first.

        And unsure and unknown, as far as the classifier tells them.

        `content`: of an image's file. Raises Refused when that is no image within the limits.
        """
        with tempfile.TemporaryDirectory() as folder:
            pixels, _ = self._decode(content, Path(folder, "image"))
            return self._classes(pixels)

    def look(self, content: bytes) -> dict:
        """Return what `predict` does, and images as data addresses for the page.

        image, overlay (None without Grad-CAM), and nearest: of each its label, similarity, path
        below data/raw and image.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "image")
            pixels, seen = self._decode(content, file)
            answer = self._classes(pixels)
            near = self.nearest(file, NEAREST) if self.nearest else []
            shown = (self._shown(each) for each in near)
            return answer | {
                "image": _address(seen),
                "overlay": self._overlay(pixels, answer["label"], seen.size),
                "nearest": [each for each in shown if each],
            }

    def _decode(self, content: bytes, file: Path) -> tuple[np.ndarray, Image.Image]:
        """Write an image to `file`; return the network's pixels (1, size, size, 3), and it small.

        Takes what the stage download takes, and refuses the rest in its words.
        """
        if len(content) > self.largest:
            raise TooLarge(f"the file is larger than {self.largest / 1e6:g} MB")
        file.write_bytes(content)
        try:
            pixels = batch_predict.load(file, self.predictor.loader, self.data)
        except image_checks.InvalidImage as reason:
            raise Refused(f"invalid image: {reason}") from None
        except UserError:  # which names the file
            raise Refused("too little memory to decode this image") from None
        return pixels[None], small_image.read(file, self.predictor.loader.decoding, SIDE)

    def _classes(self, pixels: np.ndarray) -> dict:
        [probabilities], known = self.predictor.ask(pixels)
        labels = self.predictor.labels
        order = np.argsort(-probabilities, kind="stable")
        by_class = {labels[each]: round(float(probabilities[each]), DIGITS) for each in order}
        marks = self.predictor.trust.marks(probabilities, None if known is None else known[0])
        return {"label": next(iter(by_class)), **marks, "probabilities": by_class}

    def _overlay(self, pixels: np.ndarray, label: str, shape: tuple[int, int]) -> str | None:
        """Return the overlay as `square.own_shape` does, SIDE pixels a side at most.

        A tiny image's heatmap is finer than its pixels.
        """
        if self.overlay is None:
            return None
        [seen] = self.overlay(pixels, self.predictor.labels.index(label))
        fit = self.predictor.loader.decoding.fit
        return _address(square.own_shape(Image.fromarray(seen), shape, SIDE, fit))

    def _shown(self, near: Neighbour) -> dict | None:
        """Return what is shown of it; None when its image is gone or another one by now."""
        try:
            image = small_image.read(near.path, self.predictor.loader.decoding, SIDE, near.sha256)
        except (OSError, UserError):
            return None
        return {
            "label": near.label,
            "similarity": round(near.similarity, 4),
            "path": near.path.relative_to(paths.RAW).as_posix(),
            "image": _address(image),
        }


def _address(image: Image.Image) -> str:
    """Return an image as PNG in a data address."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
