"""Bottleneck features: what the frozen backbone says of each picture, as `.npy` files.

The pooled features of every kind are kept, being small, so that another pooling extracts nothing
again; the whole feature maps only on demand.
"""

import json
import mmap
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from stages.lib import fingerprints
from stages.lib.errors import UserError
from stages.lib.params import Section

FINGERPRINT = "fingerprint.json"


class Extract(Section):
    """What to keep of the features."""

    engine: Literal["openvino", "tensorflow"]
    precision: Literal["float32", "bfloat16"]
    maps: bool
    views: Annotated[int, Field(ge=0, le=100)]


def fingerprint(folder: Path, stage: str = "extract") -> dict:
    """Return what `stage` wrote of the features' making. Raises UserError when there is none."""
    path = folder / FINGERPRINT
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        raise UserError(f"{path} is missing or damaged; run `dvc repro {stage}`") from None


def load(folder: Path, pooling: str, rows: int, stage: str = "extract") -> np.ndarray:
    """Return the features that a head with this pooling takes, memory-mapped: float32 (rows, ...).

    Those of views are float32 (rows, views, ...), with a row for each training picture. Raises
    UserError when there are none, or when they are not of this manifest.
    """
    path = folder / f"{'map' if pooling == 'flatten' else pooling}.npy"
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        if pooling == "flatten":
            raise UserError(
                "params.yaml [head.pooling]: 'flatten' needs whole feature maps; set "
                "extract.maps to true as well"
            ) from None
        raise UserError(f"{path} is missing; run `dvc repro {stage}`") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not a .npy file ({error}); run `dvc repro {stage}`") from None
    if features.dtype != "float32" or len(features) != rows:
        raise UserError(
            f"{path} holds {len(features)} rows of {features.dtype} instead of {rows} of float32; "
            f"run `dvc repro {stage}`"
        )
    return features


def take(values: np.ndarray, rows) -> np.ndarray:
    """Return `values[rows]`; of a memory-mapped file nothing stays in this process's memory.

    What was read of it would count there as long as it is mapped, so in the end the whole file.
    """
    picked = values[rows]
    mapped = getattr(values, "base", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
    return picked


class Varied:
    """Rows of features, each time at random as the picture is or as one of its views is.

    `features`: float32 (n, ...); `views`: float32 (len(rows), k, ...), those of the ascending
    `rows` of `features`. It is read like `features`, at some of `rows` (int).
    """

    def __init__(self, features: np.ndarray, views: np.ndarray, rows: np.ndarray, seed: int):
        self.features, self.views, self.rows = features, views, rows
        self.random = np.random.default_rng(seed)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        chosen = self.random.integers(0, self.views.shape[1] + 1, len(rows))
        picked, varied = take(self.features, rows), chosen > 0
        places = np.searchsorted(self.rows, rows[varied])
        picked[varied] = take(self.views, (places, chosen[varied] - 1))
        return picked


def load_varied(
    inputs: np.ndarray, folder: Path, expected: dict, pooling: str, train: np.ndarray, seed: int
) -> Varied | None:
    """Return `inputs` with the views that `folder` has of the rows `train`, None if it has none.

    Raises UserError when the views were made with something else than `expected`.
    """
    found = fingerprint(folder, "views")
    if not found["views"]:
        return None
    fingerprints.check(found, expected, folder, "views")
    return Varied(inputs, load(folder, pooling, len(train), "views"), train, seed)
