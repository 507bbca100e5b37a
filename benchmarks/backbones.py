"""How good frozen features of the networks with packaged weights are:
`python -m benchmarks.backbones FOLDER_OR_ARCHIVE --size 160`.

For each network, at float32, bfloat16 and int8, images become features as in the stage extract. A
head with the settings of params.yaml is trained on the training images of the source and scored on
all its validation images. These choose the best epoch, too, as in the tutorials; `dvc repro` keeps
a test set apart. Writes benchmarks/backbones.json.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from scipy.stats import binomtest

from thaw.models.tf_setup import make_deterministic
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.features import arrays
from thaw.features.extract import extract_features
from thaw.features.image_source import AugmentedCopies, ImageSource
from thaw.features.settings import Extract
from thaw.images.settings import Decoding
from thaw.labels import layout
from thaw.models import heads, pretrained, registry
from thaw.models.settings import Backbone, Head
from thaw.project import files, params
from thaw.project.cli import run
from thaw.project.settings import Runtime
from thaw.training import loop, losses, optimizers
from thaw.training.batches import train_and_validation
from thaw.training.settings import Loss, Training

PRECISIONS = get_args(Extract.model_fields["precision"].annotation)


def image_source(paths: list[Path], train: Sequence[int] = ()) -> ImageSource:
    """Return images, decoded as params.yaml says, whose features are not in the feature store.

    train: the rows of training images.
    """
    runtime = params.load(Runtime, "runtime").model_copy(update={"store": None})
    digests = [files.sha256(path) for path in paths]
    return ImageSource(paths, digests, params.load(Decoding, "images"), runtime, train)


def extract(
    spec: Backbone,
    paths: list[Path],
    folder: Path,
    copies: AugmentedCopies | None = None,
    precision: str = "float32",
    train: Sequence[int] = (),
) -> np.ndarray:
    """Return the averaged features of images, or of their augmented copies, as the stages do it.

    float32 (n, channels), or (n, copies, channels). `folder` is a new one; `train` as for
    `image_source`.
    """
    folder.mkdir()
    weights = folder / "backbone.weights.h5"
    pretrained.load(spec, folder).save_weights(weights)
    changes = {"feature_maps": False, "precision": precision}
    settings = params.load(Extract, "extract").model_copy(update=changes)
    source = image_source(paths, train)
    extract_features(spec, settings, weights, source, folder / "features", copies)
    return arrays.load(folder / "features", "avg", len(paths))


def score(
    inputs: np.ndarray,
    truth: np.ndarray,
    split: np.ndarray,
    log: Path,
    seed: int | None = None,
    augmented: arrays.AugmentedRows | None = None,
) -> dict[str, float]:
    """Train a head on the rows of `split` "train"; return its best scores on "validation".

    `seed` stands in for that of train_head, `augmented` for the inputs of the training rows.
    """
    settings = params.load(Training, "train_head")
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    make_deterministic(settings.seed)
    head = heads.build(params.load(Head, "head"), inputs.shape[1:], int(truth.max()) + 1)
    batches = train_and_validation(inputs, truth, split, settings, augmented)
    optimizer = optimizers.build(settings, len(batches.train))
    objective = losses.build(params.load(Loss, "loss"), head.output_shape[-1])
    loop.compile_for_training(head, optimizer, objective, batches.train, settings)
    return loop.fit(head, batches, settings, log)


def measure(spec: Backbone, precision: str, found: list[layout.Found]) -> dict:
    """Return seconds of extraction, validation accuracy with its 95 % interval, and counts."""
    names = sorted({each.label for each in found})
    truth = np.array([names.index(each.label) for each in found], "int32")
    split = np.array([each.given for each in found])
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        paths = [each.path for each in found]
        train = np.flatnonzero(split == "train")
        folder = Path(scratch) / spec.name
        inputs = extract(spec, paths, folder, precision=precision, train=train)
        seconds = time.perf_counter() - began
        best = score(inputs, truth, split, Path(scratch) / "log")
    count = int((split == "validation").sum())
    interval = binomtest(round(best["accuracy"] * count), count).proportion_ci(0.95, "wilson")
    return {
        "accuracy": best["accuracy"],
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "images": count,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--names", nargs="+", default=list(registry.LITE))
    options = parser.parse_args()
    with unpacked(options.source) as root:
        found = layout.find(root).found
        rows = {}
        for name, precision in itertools.product(options.names, PRECISIONS):
            spec = Backbone(name=name, weights="imagenet", image_size=options.size)
            rows[f"{name}, {precision}"] = measure(spec, precision, found)
    save("backbones", rows)
    print(block("backbones"))


if __name__ == "__main__":
    run(main)
