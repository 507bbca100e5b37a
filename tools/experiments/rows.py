"""What cross-validation and learning curves know of the images of the last run."""

from typing import NamedTuple

import numpy as np

from thaw.data import duplicates, manifest
from thaw.data.settings import Split
from thaw.project import params, paths


class Rows(NamedTuple):
    """The manifest's rows: class (int, (n,)), split and group of each; names: of all classes."""

    classes: np.ndarray
    names: list[str]
    split: np.ndarray
    groups: np.ndarray


def read_rows() -> Rows:
    rows = manifest.read(paths.MANIFEST)
    near = params.load(Split, "split").near_duplicates
    return Rows(
        manifest.class_indices(rows),
        manifest.classes(rows),
        manifest.read_split(paths.SPLIT, rows).to_numpy(),
        duplicates.group(rows, near).of,
    )
