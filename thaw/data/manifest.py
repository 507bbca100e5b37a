"""The manifest: one row per valid image, and the one order that all arrays follow."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from thaw.project import files
from thaw.project.errors import UserError

SPLITS = ("train", "validation", "test")


def read(path: Path) -> pd.DataFrame:
    """Return the manifest: path, label, ...; every cell is text, and an empty cell is "".

    Raises UserError when it is missing or damaged, or has no image.
    """
    rows = read_table(path)
    if not len(rows):
        raise files.damaged(path, "it has no image")
    return rows


def read_table(
    path: Path, numbers: Sequence[str] = (), needs: Sequence[str] = ("path", "label")
) -> pd.DataFrame:
    """Return a table that a stage wrote; every cell is text, and an empty cell is "".

    The columns `numbers` are float64: as text, numbers by image and class take ten times the space.
    Raises UserError when it is missing or damaged, or has not the columns that it `needs`.
    """
    kinds = defaultdict(lambda: str, dict.fromkeys(numbers, "float64"))
    table = files.read_csv(path, dtype=kinds, keep_default_na=False)
    lacking = [name for name in (*needs, *numbers) if name not in table]
    if lacking:
        raise files.damaged(path, f"it has no column {lacking[0]}")
    return table


def read_split(split_path: Path, manifest: pd.DataFrame) -> pd.Series:
    """Return the split of each manifest row, in the manifest's order.

    Raises UserError when split and manifest do not name the same images with the same labels.
    """
    split = read_table(split_path, needs=("path", "label", "split"))
    if not split[["path", "label"]].equals(manifest[["path", "label"]]):
        raise UserError(f"{split_path} is not of this manifest; run `dvc repro split`")
    return split["split"]


def classes(manifest: pd.DataFrame) -> list[str]:
    """Return the class names in sorted order: class i is the i-th logit everywhere."""
    return sorted(manifest["label"].unique())


def class_indices(manifest: pd.DataFrame) -> np.ndarray:
    """Return the class of each row as int32 (n,), in 0 .. len(classes) - 1."""
    return pd.Categorical(manifest["label"], classes(manifest)).codes.astype("int32")


def image_paths(manifest: pd.DataFrame, root: Path) -> list[Path]:
    """Return the file of each row, in the manifest's order; `root` is where download put them."""
    return [root / path for path in manifest["path"]]


def digests(manifest: pd.DataFrame, root: Path) -> dict[Path, str]:
    """Return the SHA-256 digest of each of `image_paths`, for an ImageLoader to hold them to."""
    return dict(zip(image_paths(manifest, root), manifest["sha256"]))


def first_of_each_class(truth: np.ndarray, count: int) -> np.ndarray:
    """Return up to `count` rows of `truth`: the first of every class, then the second, ..."""
    turn = pd.Series(truth).groupby(truth).cumcount().to_numpy()
    return np.lexsort((truth, turn))[:count]
