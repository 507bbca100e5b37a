"""Bottleneck features: what the frozen backbone says of each image, as `.npy` files.

The pooled features of every kind are kept, being small, so that another pooling extracts nothing
again; the whole feature maps only on demand.
"""

import json
import mmap
from pathlib import Path

import numpy as np

from thaw.project.errors import UserError
from thaw.project.provenance import check_provenance

PROVENANCE_FILE = "provenance.json"
POOLING = "avg"  # that extract keeps, whatever the head takes
EXTRACT, AUGMENT = "extract", "augment"  # the stages that write features


def directions(features: np.ndarray) -> np.ndarray:
    """Return features (n, channels) with each row scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, np.finfo("float32").tiny)


def read_provenance(folder: Path, stage: str = EXTRACT) -> dict:
    """Return what `stage` wrote of the features' making. Raises UserError when there is none."""
    path = folder / PROVENANCE_FILE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        raise UserError(f"{path} is missing or damaged; run `dvc repro {stage}`") from None


def load(folder: Path, pooling: str, rows: int, stage: str = EXTRACT) -> np.ndarray:
    """Return the features that a head with this pooling takes, memory-mapped: float32 (rows, ...).

    Those of augmented copies are float32 (rows, copies, ...), with a row for each training image.
    Raises UserError when there are none, when they are damaged, or not of this manifest.
    """
    path = folder / f"{'map' if pooling == 'flatten' else pooling}.npy"
    anew = f"run `dvc repro --force --single-item {stage}`"  # its cache may have the same damage
    try:
        features = np.lib.format.open_memmap(path, mode="r")  # nothing but .npy, and no objects
    except FileNotFoundError:
        if pooling == "flatten":
            raise UserError(
                "'flatten' needs whole feature maps",
                "head.pooling",
                "set extract.feature_maps to true as well",
            ) from None
        if pooling == "cls" and folder.is_dir():
            raise UserError(
                "the backbone has no class token", "head.pooling", "set it to avg, max or flatten"
            ) from None
        raise UserError(f"{path} is missing; run `dvc repro {stage}`") from None
    except Exception as error:  # numpy and its parser of the header raise all kinds
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault
        cause = " ".join(str(error).split())
        raise UserError(f"{path} is cut, or no .npy file ({cause})", hint=anew) from None
    if features.offset + features.nbytes != path.stat().st_size:
        raise UserError(f"{path} has more bytes than its shape {features.shape} takes", hint=anew)
    if features.dtype != "float32" or features.shape[:1] != (rows,):
        raise UserError(
            f"{path} holds an array of shape {features.shape} of {features.dtype} instead of "
            f"{rows} rows of float32",
            hint=anew,
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


class AugmentedRows:
    """Rows of features, each time at random of the image itself or of one of its augmented copies.

    `features`: float32 (n, ...); `copies`: float32 (len(rows), k, ...), those of the ascending
    `rows` of `features`. It is read like `features`, at some of `rows` (int).
    """

    def __init__(self, features: np.ndarray, copies: np.ndarray, rows: np.ndarray, seed: int):
        self.features, self.copies, self.rows = features, copies, rows
        self.random = np.random.default_rng(seed)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        chosen = self.random.integers(0, self.copies.shape[1] + 1, len(rows))
        picked, augmented = take(self.features, rows), chosen > 0
        places = np.searchsorted(self.rows, rows[augmented])
        picked[augmented] = take(self.copies, (places, chosen[augmented] - 1))
        return picked


def load_augmented(
    inputs: np.ndarray, folder: Path, expected: dict, pooling: str, train: np.ndarray, seed: int
) -> AugmentedRows | None:
    """Return `inputs` with the augmented copies that `folder` has of the rows `train`, or None.

    Raises UserError when the copies were made with something else than `expected`.
    """
    found = read_provenance(folder, AUGMENT)
    if not found["copies"]:
        return None
    check_provenance(found, expected, folder, AUGMENT)
    copies = load(folder, pooling, len(train), AUGMENT)
    return AugmentedRows(inputs, copies, train, seed)
