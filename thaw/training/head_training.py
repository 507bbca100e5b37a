"""Train a head on cached features, as train_head and cross-validation do."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from thaw.models.tf_setup import make_deterministic
from thaw.features import arrays
from thaw.features.arrays import AugmentedRows
from thaw.models import heads
from thaw.models.settings import Head
from thaw.training import loop, losses, optimizers
from thaw.training.batches import train_and_validation
from thaw.training.settings import Loss, Training


class HeadData(NamedTuple):
    """What a head is trained on, by the rows of the manifest.

    inputs: float32 (n, ...). augmented: stands in for training rows, None for none. classes: int
    (n,). split: of each row; those of train and validation are used. names: of all classes.
    """

    inputs: np.ndarray
    augmented: AugmentedRows | None
    classes: np.ndarray
    split: pd.Series
    names: list[str]


class HeadFiles(NamedTuple):
    """Where the features lie, and the digest of the split that the copies must be of."""

    features: Path
    copies: Path
    split_sha256: str


def load_features(
    files: HeadFiles, pooling: str, split: pd.Series, seed: int
) -> tuple[np.ndarray, AugmentedRows | None]:
    """Return the features of all rows, memory-mapped, and with copies those of training rows.

    `seed`: of the choice among copies. Raises UserError when features and copies do not fit.
    """
    inputs = arrays.load(files.features, pooling, len(split))
    expected = arrays.read_provenance(files.features) | {"split_sha256": files.split_sha256}
    train = np.flatnonzero(split == "train")
    return inputs, arrays.load_augmented(inputs, files.copies, expected, pooling, train, seed)


def train(
    data: HeadData,
    spec: Head,
    loss: Loss,
    settings: Training,
    log: Path,
    checkpoint: Path | None = None,
) -> tuple[keras.Model, dict[str, float]]:
    """Build and train a head; return it and the best epoch's scores, as `loop.fit` gives them."""
    make_deterministic(settings.seed)
    head = heads.build(spec, data.inputs.shape[1:], len(data.names))
    batches = train_and_validation(data.inputs, data.classes, data.split, settings, data.augmented)
    weighting = losses.class_weights(loss, data.classes[data.split == "train"], data.names)
    optimizer = optimizers.build(settings, len(batches.train))
    objective = losses.build(loss, head.output_shape[-1])
    loop.compile_for_training(head, optimizer, objective, batches.train, settings)
    return head, loop.fit(head, batches, settings, log, weighting, checkpoint)
