"""How good frozen features of the networks with packaged weights are:
`python -m benchmarks.backbones FOLDER_OR_ARCHIVE --size 160`.

For each network, at float32 and at bfloat16: pictures through extract's own path, then a head with
the settings of params.yaml on the source's training pictures, scored on all of its validation
pictures (so the split is the source's own, and the best epoch is chosen on the pictures that it is
scored on, as the tutorials do it; `dvc repro` keeps a test set apart). Writes
benchmarks/backbones.json.
"""

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

import stages.lib.quiet  # noqa: F401  first, before Keras
from benchmarks.photos import unpacked
from stages.lib import (
    backbones,
    building,
    extraction,
    features,
    feeding,
    heads,
    layout,
    networks,
    optimizing,
    params,
    pictures,
    training,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import run
from stages.lib.runtime import Runtime


def source(paths: list[Path]) -> extraction.Source:
    """Return pictures, decoded as params.yaml says, whose features are not in the feature store."""
    runtime = params.load(Runtime, "runtime").model_copy(update={"store": None})
    digests = list(map(str, paths))  # any names do
    return extraction.Source(paths, digests, params.load(pictures.Pictures, "pictures"), runtime)


def extract(
    spec: backbones.Backbone,
    paths: list[Path],
    folder: Path,
    views: extraction.Views | None = None,
    precision: str = "float32",
) -> np.ndarray:
    """Return the averaged features of pictures or of their views, as the stages write them.

    float32 (n, channels), or (n, views, channels). `folder` is a new one.
    """
    folder.mkdir()
    weights = folder / "backbone.weights.h5"
    building.pretrained(spec, folder).save_weights(weights)
    changes = {"maps": False, "precision": precision}
    settings = params.load(features.Extract, "extract").model_copy(update=changes)
    extraction.run(spec, settings, weights, source(paths), folder / "features", views)
    return features.load(folder / "features", "avg", len(paths))


def score(
    inputs: np.ndarray,
    truth: np.ndarray,
    split: np.ndarray,
    log: Path,
    seed: int | None = None,
    varied: features.Varied | None = None,
) -> dict[str, float]:
    """Train a head on the rows of `split` "train"; return its best scores on "validation".

    `seed` stands in for that of train_head, `varied` for the inputs of the training rows.
    """
    settings = params.load(training.Training, "train_head")
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    make_deterministic(settings.seed)
    head = heads.build(params.load(heads.Head, "head"), inputs.shape[1:], int(truth.max()) + 1)
    loss = params.load(optimizing.Loss, "loss")
    batches = feeding.train_and_validation(inputs, truth, split, settings, varied)
    return training.fit(head, *batches, settings, loss, None, log)


def measure(spec: backbones.Backbone, precision: str, found: list[layout.Found]) -> dict:
    """Return seconds of extraction, validation accuracy with its 95 % interval, and counts."""
    names = sorted({each.label for each in found})
    truth = np.array([names.index(each.label) for each in found], "int32")
    split = np.array([each.given for each in found])
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        paths = [each.path for each in found]
        inputs = extract(spec, paths, Path(scratch) / spec.name, precision=precision)
        seconds = time.perf_counter() - began
        best = score(inputs, truth, split, Path(scratch) / "log")
    count = int((split == "validation").sum())
    interval = binomtest(round(best["accuracy"] * count), count).proportion_ci(0.95, "wilson")
    return {
        "accuracy": best["accuracy"],
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "pictures": count,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--names", nargs="+", default=list(networks.LITE))
    options = parser.parse_args()
    with unpacked(options.source) as root:
        found, _ = layout.find(root)
        rows = {}
        for name, precision in itertools.product(options.names, ("float32", "bfloat16")):
            spec = backbones.Backbone(name=name, weights="imagenet", image_size=options.size)
            rows[f"{name}, {precision}"] = measure(spec, precision, found)
    Path("benchmarks/backbones.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(f"| at {options.size} px | validation accuracy | seconds to extract |")
    print("| --- | --- | --- |")
    for name, row in rows.items():
        interval = f"{row['accuracy']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        print(f"| {name} | {interval} | {row['seconds']:.0f} |")


if __name__ == "__main__":
    run(main)
