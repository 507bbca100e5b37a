"""Join backbone and head, thaw the top of the backbone and train on at a low rate.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/ (for the parity gate),
       models/backbone.weights.h5, models/head.weights.h5
Writes models/fine_tuned.weights.h5: the joined network
       metrics/fine_tune/: the log, and the best epoch's scores on validation
"""

from pathlib import Path

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

PARITY_ROWS = 32  # validation pictures that the parity gate looks at
OF_ANOTHER = "the features are not of this backbone; run `dvc repro --force extract`"
OF_THE_TRUNK = (
    "what is kept of the frozen layers does not fit; set fine_tune.trunk_dtype to float32, or "
    "fine_tune.cache_trunk to never"
)


def main() -> None:
    settings = params.load(fine_tuning.FineTune, "fine_tune")
    loss = params.load(optimizing.Loss, "loss")
    augmentation = params.load(augmenting.Augmentation, "augmentation")
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
        model, inputs, varied = trunk.to_train(
            network, source, split, settings, augmentation, scratch
        )
        coarse = network.made_with["precision"], settings.trunk_dtype
        fine_tuning.check_parity(model, network.head, inputs[some], expected, OF_THE_TRUNK, *coarse)
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
) -> fine_tuning.Network:
    """Join backbone and head, and thaw. Raises UserError when features and head are of others."""
    spec, head_spec = params.load(backbones.Backbone, "backbone"), params.load(heads.Head, "head")
    cached = features.load(paths.FEATURES, head_spec.pooling, len(rows))
    backbone = building.load(spec, paths.BACKBONE)
    head = heads.load(head_spec, cached.shape[1:], len(manifest.classes(rows)), paths.HEAD)
    joined = classifier.join(backbone, head, head_spec)
    made_with = check_that_all_belong_together(backbones.fingerprint(spec, decoding))
    fine_tuning.freeze_normalization(head)
    first = fine_tuning.unfreeze(backbone, settings.unfreeze)
    return fine_tuning.Network(backbone, head, head_spec, joined, first, cached, made_with)


def check_that_all_belong_together(expected: dict) -> dict:
    """Return the features' fingerprint. Raises UserError when they or the head do not fit."""
    expected = fingerprints.with_weights(expected, paths.BACKBONE)
    of_features = features.fingerprint(paths.FEATURES)
    fingerprints.check(of_features, expected, paths.FEATURES, "extract")
    fingerprints.check(weights.fingerprint(paths.HEAD), expected, paths.HEAD, "train_head")
    return of_features


def check_whole(
    network: fine_tuning.Network,
    images: list[Path],
    decoding: pictures.Pictures,
    expected: np.ndarray,
) -> None:
    """Hold the joined network on pictures against the head on their features, `expected`."""
    size = network.joined.input_shape[1]
    pixels = np.stack([pictures.load(image, size, decoding) for image in images])
    precision = network.made_with["precision"]
    difference = fine_tuning.check_parity(
        network.joined, network.head, pixels, expected, OF_ANOTHER, precision
    )
    first = network.backbone.layers[network.first].name
    print(f"parity {difference:.1e}; trains from layer {first} on")


if __name__ == "__main__":
    run(main)
