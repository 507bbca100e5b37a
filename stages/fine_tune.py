"""Join backbone and head, thaw the top of the backbone and train on at a low rate.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/ (for the parity gate),
       models/backbone.weights.h5, models/head.weights.h5
Writes models/fine_tuned.weights.h5: the joined network
       metrics/fine_tune/: the log, and the best epoch's scores on validation
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    augmenting,
    backbones,
    building,
    classifier,
    extraction,
    features,
    feeding,
    files,
    fine_tuning,
    fingerprints,
    heads,
    manifest,
    optimizing,
    params,
    paths,
    pictures,
    training,
    trunk,
    weights,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import run
from stages.lib.runtime import Runtime

if TYPE_CHECKING:
    import keras

PARITY_ROWS = 32  # validation pictures that the parity gate looks at


class Network(NamedTuple):
    """The joined network and its parts, which share their layers, thawed from layer `first` on.

    features: of all pictures, float32 (n, ...), and made_with, their fingerprint.
    """

    backbone: "keras.Model"
    head: "keras.Model"
    head_spec: heads.Head
    joined: "keras.Model"
    first: int
    features: np.ndarray
    made_with: dict


def main() -> None:
    settings = params.load(fine_tuning.FineTune, "fine_tune")
    loss = params.load(optimizing.Loss, "loss")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    rows = manifest.read(paths.MANIFEST)
    split = manifest.read_split(paths.SPLIT, rows)
    make_deterministic(settings.seed)
    training.keep_freed_memory()
    network = load(rows, settings, decoding)

    used = np.flatnonzero(split.isin(["train", "validation"]))
    images = manifest.image_paths(rows.iloc[used], paths.RAW)
    source = extraction.Source(images, rows["sha256"].iloc[used].tolist(), decoding, runtime)
    split, classes = split.iloc[used], manifest.class_indices(rows)[used]
    some = np.flatnonzero(split == "validation")[:PARITY_ROWS]
    expected = network.features[used[some]]
    check_whole(network, [images[row] for row in some], decoding, expected)
    with files.scratch(paths.INPUTS) as scratch:
        model, inputs, varied = to_train(network, source, split, settings, scratch)
        coarse = network.made_with["precision"], settings.trunk_dtype
        fine_tuning.check_parity(model, network.head, inputs[some], expected, *coarse)
        batches = feeding.train_and_validation(inputs, classes, split, settings, varied)
        weighting = optimizing.class_weights(
            loss, classes[split == "train"], manifest.classes(rows)
        )
        paces = fine_tuning.paces(model, network.backbone, settings, len(batches[0]))
        best = training.fit(model, *batches, settings, loss, weighting, paths.FINE_TUNE_LOG, paces)

    with files.replacing(paths.FINE_TUNED) as partial:
        weights.save(network.joined, partial, network.made_with)
    print("best epoch {epoch}: validation loss {loss:.4f}, accuracy {accuracy:.4f}".format(**best))


def load(
    rows: pd.DataFrame, settings: fine_tuning.FineTune, decoding: pictures.Pictures
) -> Network:
    """Join backbone and head, and thaw. Raises UserError when features and head are of others."""
    spec, head_spec = params.load(backbones.Backbone, "backbone"), params.load(heads.Head, "head")
    cached = features.load(paths.FEATURES, head_spec.pooling, len(rows))
    backbone = building.load(spec, paths.BACKBONE)
    head = heads.load(head_spec, cached.shape[1:], len(manifest.classes(rows)), paths.HEAD)
    joined = classifier.join(backbone, head, head_spec)
    made_with = check_that_all_belong_together(backbones.fingerprint(spec, decoding))
    fine_tuning.freeze_normalization(head)
    first = fine_tuning.unfreeze(backbone, settings.unfreeze)
    return Network(backbone, head, head_spec, joined, first, cached, made_with)


def check_that_all_belong_together(expected: dict) -> dict:
    """Return the features' fingerprint. Raises UserError when they or the head do not fit."""
    expected = fingerprints.with_weights(expected, paths.BACKBONE)
    of_features = features.fingerprint(paths.FEATURES)
    fingerprints.check(of_features, expected, paths.FEATURES, "extract")
    fingerprints.check(weights.fingerprint(paths.HEAD), expected, paths.HEAD, "train_head")
    return of_features


def check_whole(
    network: Network, images: list[Path], decoding: pictures.Pictures, expected: np.ndarray
) -> None:
    """Hold the joined network on pictures against the head on their features, `expected`."""
    size = network.joined.input_shape[1]
    pixels = np.stack([pictures.load(image, size, decoding) for image in images])
    precision = network.made_with["precision"]
    difference = fine_tuning.check_parity(network.joined, network.head, pixels, expected, precision)
    first = network.backbone.layers[network.first].name
    print(f"parity {difference:.1e}; trains from layer {first} on")


def to_train(
    network: Network,
    source: extraction.Source,
    split: pd.Series,
    settings: fine_tuning.FineTune,
    scratch: Path,
) -> tuple["keras.Model", np.ndarray, features.Varied | None]:
    """Return what trains, its inputs by row, and what stands in for those of training rows.

    That is the part above the frozen layers, on their activations, where `trunk.plan` keeps these;
    else the whole network on pixels, behind the layers that vary them.
    """
    augmentation = params.load(augmenting.Augmentation, "augmentation")
    varies = augmenting.varies(augmentation)
    plan = trunk.plan(network.backbone, network.first, settings, varies, split)
    if plan:
        inputs, varied = trunk.activations(
            plan, network.made_with, source, split, settings, augmentation, scratch
        )
        return classifier.join(plan.parts.top, network.head, network.head_spec), inputs, varied
    size, threads = network.joined.input_shape[1], source.runtime.threads
    inputs = pictures.decode(source.images, size, source.decoding, threads, scratch)
    return augmenting.in_front(network.joined, augmentation, settings.seed), inputs, None


if __name__ == "__main__":
    run(main)
