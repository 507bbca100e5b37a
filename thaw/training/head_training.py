"""Train a head on cached features, as train_head and cross-validation do."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from thaw.models.tf_setup import make_deterministic
from thaw.features import arrays
from thaw.features.arrays import AugmentedRows
from thaw.models import heads, text_logits, texts
from thaw.models.settings import Head
from thaw.models.text_logits import TextLogits
from thaw.project.errors import UserError
from thaw.training import loop, losses, optimizers
from thaw.training.batches import train_and_validation
from thaw.training.settings import Loss, Training

FEW = 1000  # training images that say how long embeddings are


class HeadData(NamedTuple):
    """What a head is trained on, by the rows of the manifest.

    inputs: float32 (n, ...). augmented: stands in for training rows, None for none. classes: int
    (n,). split: of each row; those of train and validation are used. names: of all classes. texts:
    from which the head starts, if it does.
    """

    inputs: np.ndarray
    augmented: AugmentedRows | None
    classes: np.ndarray
    split: pd.Series
    names: list[str]
    texts: TextLogits | None = None


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


def load_texts(start: str, folder: Path, features: Path, names: Sequence[str]) -> TextLogits | None:
    """Return the texts of the classes that a head starts from, None for another `start`.

    folder: of the stage backbone. Raises UserError when that left nothing for texts, and what
    `texts.of_classes` does.
    """
    if start != "text":
        return None
    if not text_logits.kept(folder):
        hint = f"set it to random, or backbone.name to {text_logits.WITH_TEXTS}"
        raise UserError("the backbone knows no texts", "head.start", hint)
    return texts.of_classes(folder, arrays.read_provenance(features), names)


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
    if data.texts:
        few = np.flatnonzero(data.split == "train")[:FEW]
        heads.start_from(head, *data.texts.linear(arrays.take(data.inputs, few)))
    batches = train_and_validation(data.inputs, data.classes, data.split, settings, data.augmented)
    weighting = losses.class_weights(loss, data.classes[data.split == "train"], data.names)
    optimizer = optimizers.build(settings, len(batches.train))
    objective = losses.build(loss, head.output_shape[-1])
    loop.compile_for_training(head, optimizer, objective, batches.train, settings)
    return head, loop.fit(head, batches, settings, log, weighting, checkpoint)
