"""What a trained classifier says of each of many pictures."""

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.lib import files, pictures, usable
from stages.lib.errors import UserError
from stages.lib.runtime import Runtime
from stages.lib.sources import Data
from tools.lib import addresses
from tools.lib.predicting import Predictor


class Answer(NamedTuple):
    """What is said of a picture: probabilities, float32 (classes,), or why there are none."""

    place: str
    probabilities: np.ndarray | None
    reason: str | None


def pixels(file: Path, predictor: Predictor, data: Data) -> np.ndarray:
    """Return a picture as the predictor takes it, uint8 (size, size, 3), RGB 0..255.

    Raises BadPicture for what the download stage would not have used either, as `data` says: no
    picture, a damaged one, too many pixels (seen before decoding), too few.
    """
    try:
        usable.check_kind(file)
        with usable.opened(file, data.min_side, data.max_megapixels * 1e6):
            return pictures.load(file, predictor.size, predictor.decoding)
    except (OSError, ValueError) as error:  # the latter for names that no file can have
        raise usable.BadPicture(getattr(error, "strerror", None) or str(error)) from None


def answers(
    predictor: Predictor, places: Sequence[str], data: Data, runtime: Runtime
) -> Iterator[Answer]:
    """Yield an answer for each of `places`, paths or addresses, in their order.

    Batches are decoded and computed on all cores; only those at hand are in memory.
    """
    share = -(-len(places) // runtime.threads)  # so that a few pictures go to all cores, too
    size = max(2, min(runtime.batch_size, share))
    # In place of a bad picture: an engine first has to get ready for another size of batch.
    blank = np.zeros((predictor.size, predictor.size, 3), "uint8")
    names = count()

    def read(place: str, scratch: Path) -> np.ndarray | str:
        try:
            if not addresses.is_address(place):
                return pixels(Path(place), predictor, data)
            file = scratch / str(next(names))
            try:
                addresses.fetch(place, file)
                return pixels(file, predictor, data)
            finally:
                files.remove(file)
        except (usable.BadPicture, UserError) as error:
            return str(error)

    def stack(part: Sequence[str], scratch: Path) -> tuple[list, np.ndarray]:
        found = [read(place, scratch) for place in part]
        bad = [each if isinstance(each, str) else None for each in found]
        rows = [blank if reason else each for reason, each in zip(bad, found)]
        return list(zip(part, bad)), np.stack(rows)

    def batches(scratch: Path) -> Iterator[tuple[list, np.ndarray]]:
        with ThreadPoolExecutor(runtime.threads) as pool:
            ahead = deque()
            try:
                for start in range(0, len(places), size):
                    ahead.append(pool.submit(stack, places[start : start + size], scratch))
                    if len(ahead) > runtime.threads:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    with tempfile.TemporaryDirectory() as scratch:
        for asked, rows in predictor.probabilities.stream(batches(Path(scratch))):
            for (place, reason), row in zip(asked, rows):
                yield Answer(place, None if reason else row, reason)
