"""What a run left in its files, for those who draw, export or describe it."""

import json
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from thaw.data import manifest
from thaw.evaluation import metrics, slices
from thaw.project import paths
from thaw.project.errors import UserError


class RunResult:
    """The tables and scores of the run in `folder`, each read when it is first asked for.

    n is the number of rows of the manifest, k that of the classes. All raise UserError where the
    file that they come from is missing or is not of this run.
    """

    def __init__(self, folder: Path = Path()):
        self.folder = folder

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The manifest, as `manifest.read` gives it."""
        return manifest.read(self.folder / paths.MANIFEST)

    @cached_property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the logits."""
        return manifest.classes(self.rows)

    @cached_property
    def truth(self) -> np.ndarray:
        """The class of each row, int32 (n,)."""
        return manifest.class_indices(self.rows)

    @cached_property
    def split(self) -> pd.Series:
        """The split of each row: train, validation, test or excluded."""
        return manifest.read_split(self.folder / paths.SPLIT, self.rows)

    @cached_property
    def train(self) -> np.ndarray:
        """The rows of the training images, ascending."""
        return np.flatnonzero(self.split == "train")

    @cached_property
    def validation(self) -> np.ndarray:
        """The rows of the validation images, ascending."""
        return np.flatnonzero(self.split == "validation")

    @cached_property
    def test(self) -> np.ndarray:
        """The rows of the test images, ascending."""
        return np.flatnonzero(self.split == "test")

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The fine-tuned network's calibrated probabilities of the test images, float64 (m, k)."""
        tested = self.rows.iloc[self.test]
        return metrics.read_predictions(self.folder / paths.PREDICTIONS, tested, self.classes)

    @cached_property
    def test_scores(self) -> dict[str, dict[str, float]]:
        """The scores of both networks on the test images, as `metrics.compare` gave them."""
        return _read_json(self.folder / paths.TEST, "evaluate")

    @cached_property
    def split_report(self) -> dict[str, dict]:
        """How many images there are, by class and split, and how many were left out."""
        return _read_json(self.folder / paths.SPLIT_REPORT, "split")

    @cached_property
    def recall(self) -> pd.DataFrame:
        """What `class_scores.by_class` gave, as text."""
        return manifest.read_table(self.folder / paths.EVALUATION / "recall.csv", needs=("class",))

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """What `metrics.reliability` gave."""
        columns = ("confidence", "accuracy", "images")
        file = self.folder / paths.EVALUATION / "reliability.csv"
        return manifest.read_table(file, columns, needs=()).astype({"images": int})

    @cached_property
    def digests(self) -> dict[Path, str]:
        """The SHA-256 digest of each image's file."""
        return manifest.digests(self.rows, self.folder / paths.RAW)

    @cached_property
    def slices(self) -> pd.DataFrame:
        """What `slices.table` gave."""
        file = self.folder / paths.EVALUATION / "slices.csv"
        table = manifest.read_table(file, slices.NUMBERS, needs=("by", "part"))
        return table.astype({"images": int})

    def images(self, rows: np.ndarray) -> list[Path]:
        """Return the files of some rows, in their order."""
        return manifest.image_paths(self.rows.iloc[rows], self.folder / paths.RAW)


def _read_json(path: Path, stage: str) -> dict:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        raise UserError(
            f"{path} is missing or damaged", hint=f"run `dvc repro {stage}` to make it"
        ) from None
