"""What a trained classifier predicts for each of many images."""

import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thaw.export.formats import KNOWN, OUTPUT
from thaw.features import arrays, inference
from thaw.images import image_checks
from thaw.images.loader import ImageLoader, prefetch
from thaw.project.errors import UserError
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from tools.serving import inputs
from tools.serving.predictor import Predictor

NAMES = OUTPUT, arrays.POOLING, KNOWN  # of the outputs, as in Prediction


class Prediction(NamedTuple):
    """Of the image at `place`: probabilities, float32 (classes,), or the reason for None.

    features: of another network, if one was asked as well, float32 (channels,). known: how known
    the image looks, if the classifier tells it.
    """

    place: str
    probabilities: np.ndarray | None
    reason: str | None
    features: np.ndarray | None = None
    known: float | None = None


class Batch(NamedTuple):
    """Images at `places`: pixels uint8 (n, size, size, 3), and why some are blank, or None."""

    places: Sequence[str]
    reasons: list[str | None]
    pixels: np.ndarray


def load(file: Path, loader: ImageLoader, data: Data) -> np.ndarray:
    """Return an image as uint8 (size, size, 3), RGB 0..255.

    Raises InvalidImage for what the download stage would not have used either, as `data` says: no
    image, a damaged one, too many pixels (seen before decoding), too few.
    """
    try:
        image_checks.check_kind(file)
        with image_checks.opened(file, data.min_side, data.max_megapixels * 1e6) as image:
            return loader.pixels(image)
    except (OSError, ValueError) as error:  # the latter for names that no file can have
        raise image_checks.InvalidImage(getattr(error, "strerror", None) or str(error)) from None


def predictions(
    predictor: Predictor, places: Sequence[str], data: Data, runtime: Runtime,
    backbone: inference.Forward | None = None,
) -> Iterator[Prediction]:  # fmt: skip
    """Yield a prediction for each of `places`, paths or addresses, in their order.

    Batches are decoded and computed on all cores. Only those at hand are in memory. `backbone`: of
    pixels of the same size; it gives the features.
    """
    per_thread = -(-len(places) // runtime.threads)  # so that a few images go to all cores, too
    size = max(2, min(runtime.batch_size, per_thread))
    parts = [places[start : start + size] for start in range(0, len(places), size)]
    load_batch = functools.partial(_load_batch, loader=predictor.loader, data=data)
    batches = ((each, each.pixels) for each in prefetch(load_batch, parts, runtime.threads))
    for batch, outputs in _outputs(predictor, batches, backbone):
        for at, (place, reason) in enumerate(zip(batch.places, batch.reasons, strict=True)):
            values = [outputs[name][at] if name in outputs else None for name in NAMES]
            yield (
                Prediction(place, None, reason)
                if reason
                else Prediction(place, values[0], None, *values[1:])
            )


def _outputs(
    predictor: Predictor, batches: Iterator, backbone: inference.Forward | None
) -> Iterator[tuple[Batch, dict[str, np.ndarray]]]:
    """Yield each batch with its outputs by name, and with features if there is a backbone."""
    found = predictor.probabilities.stream(batches)
    if backbone is None:
        yield from found
        return
    again = ((pair, pair[0].pixels) for pair in found)
    for (batch, first), second in inference.with_places(backbone, again):
        yield batch, first | second


def _load_batch(places: Sequence[str], loader: ImageLoader, data: Data) -> Batch:
    """Load the images at paths or addresses.

    An invalid one is blank: an engine first has to get ready for another size of batch.
    """
    pixels, reasons = np.zeros((len(places), loader.size, loader.size, 3), "uint8"), []
    for row, place in zip(pixels, places):
        try:
            row[:] = _load_place(place, loader, data)
            reasons.append(None)
        except (image_checks.InvalidImage, UserError) as error:
            reasons.append(str(error))
    return Batch(places, reasons, pixels)


def _load_place(place: str, loader: ImageLoader, data: Data) -> np.ndarray:
    if not inputs.is_address(place):
        return load(Path(place), loader, data)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "image")
        inputs.fetch_image(place, file)
        return load(file, loader, data)
