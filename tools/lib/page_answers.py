"""What the page answers to a picture: its classes, where the network looks, what it is like."""

import base64
import io
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from stages.lib import files, paths, pictures, usable
from stages.lib.errors import UserError
from stages.lib.sources import Data
from tools.lib import answering
from tools.lib.neighbours import Neighbour
from tools.lib.predicting import Predictor

NEAREST = 5
SIDE = 224  # pixels of the longer side of what the page shows
DIGITS = 6  # of a probability


class Refused(Exception):
    """Why a file gets no answer, in a few words that name no place on this machine."""


class TooLarge(Refused):
    """A file of more bytes than are taken."""


class Answers:
    """Answers pictures, one at a time, however many ask at once.

    data: says which pictures are usable; largest: bytes of a picture's file.
    overlay: from pixels uint8 (1, size, size, 3) and a class to the same with the class's heat over
    them; None without Grad-CAM. nearest: from a file and a number to so many neighbours; None
    without features.
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
        self.turn = threading.Lock()

    def predict(self, content: bytes) -> dict:
        """Return the likeliest class and the probability of each, the likeliest first.

        `content`: of a picture's file. Raises Refused when that is no picture within the limits.
        """
        with self.turn, tempfile.TemporaryDirectory() as folder:
            pixels, _ = self._decode(content, Path(folder, "picture"))
            return self._classes(pixels)

    def look(self, content: bytes) -> dict:
        """Return what `predict` does, and pictures as data addresses for the page.

        picture, overlay (None without Grad-CAM), and nearest: of each its label, similarity, path
        below data/raw and picture.
        """
        with self.turn, tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "picture")
            pixels, seen = self._decode(content, file)
            answer = self._classes(pixels)
            near = self.nearest(file, NEAREST) if self.nearest else []
            shown = (self._shown(each) for each in near)
            return answer | {
                "picture": _address(seen),
                "overlay": self._overlay(pixels, answer["label"], seen.size),
                "nearest": [each for each in shown if each],
            }

    def _decode(self, content: bytes, file: Path) -> tuple[np.ndarray, Image.Image]:
        """Write a picture to `file`; return the network's pixels (1, size, size, 3), and it small.

        Takes what the stage download takes, and refuses the rest in its words.
        """
        if len(content) > self.largest:
            raise TooLarge(f"the file is larger than {self.largest / 1e6:g} MB")
        file.write_bytes(content)
        try:
            pixels = answering.pixels(file, self.predictor, self.data)
        except usable.BadPicture as reason:
            raise Refused(f"no usable picture: {reason}") from None
        except UserError:  # which names the file
            raise Refused("too little memory to decode this picture") from None
        return pixels[None], _small(file, self.predictor.decoding)

    def _classes(self, pixels: np.ndarray) -> dict:
        [chances] = self.predictor.probabilities(pixels)
        labels = self.predictor.labels
        order = np.argsort(-chances, kind="stable")
        shares = {labels[each]: round(float(chances[each]), DIGITS) for each in order}
        return {"label": next(iter(shares)), "probabilities": shares}

    def _overlay(self, pixels: np.ndarray, label: str, shape: tuple[int, int]) -> str | None:
        """Return the overlay in the picture's own shape, SIDE pixels a side at most.

        The network sees a square. A tiny picture's heat is finer than its pixels.
        """
        if self.overlay is None:
            return None
        [seen] = self.overlay(pixels, self.predictor.labels.index(label))
        size = [max(1, round(SIDE * side / max(shape))) for side in shape]
        return _address(Image.fromarray(seen).resize(size, Image.Resampling.BILINEAR))

    def _shown(self, near: Neighbour) -> dict | None:
        """Return what is shown of it; None when its picture is gone or another one by now."""
        try:
            if files.sha256(near.path) != near.sha256:
                return None
            picture = _small(near.path, self.predictor.decoding)
        except OSError:
            return None
        return {
            "label": near.label,
            "similarity": round(near.similarity, 4),
            "path": near.path.relative_to(paths.RAW).as_posix(),
            "picture": _address(picture),
        }


def _small(file: Path, decoding: pictures.Pictures) -> Image.Image:
    """Return a picture as RGB in its own shape, at most SIDE pixels a side."""
    with pictures.open_file(file) as picture:
        picture.draft(None, (2 * SIDE, 2 * SIDE))  # does nothing but for JPEG
        small = pictures.to_rgb(picture, decoding).copy()
    small.thumbnail((SIDE, SIDE))
    return small


def _address(picture: Image.Image) -> str:
    """Return a picture as PNG in a data address."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
