"""Join backbone and head, thaw the top of the backbone and train on at a low rate.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/ (for the parity gate),
       models/backbone.weights.h5, models/head.weights.h5
Writes models/fine_tuned.weights.h5: the joined network
       metrics/fine_tune/: the log, and the best epoch's scores on validation
"""

import numpy as np

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    augmenting,
    backbones,
    building,
    classifier,
    extraction,
    features,
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


def main() -> None:
    spec, head_spec = params.load(backbones.Backbone, "backbone"), params.load(heads.Head, "head")
    settings = params.load(fine_tuning.FineTune, "fine_tune")
    augmentation = params.load(augmenting.Augmentation, "augmentation")
    loss = params.load(optimizing.Loss, "loss")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    rows = manifest.read(paths.MANIFEST)
    split = manifest.read_split(paths.SPLIT, rows)
    classes = manifest.class_indices(rows)

    make_deterministic(settings.seed)
    training.keep_freed_memory()
    backbone = building.load(spec, paths.BACKBONE)
    cached = features.load(paths.FEATURES, head_spec.pooling, len(rows))
    head = heads.load(head_spec, cached.shape[1:], len(manifest.classes(rows)), paths.HEAD)
    joined = classifier.join(backbone, head, head_spec)
    of_features = check_that_all_belong_together(backbones.fingerprint(spec, decoding))
    fine_tuning.freeze_normalization(head)
    first = fine_tuning.unfreeze(backbone, settings.unfreeze)

    images = manifest.image_paths(rows, paths.RAW)
    some = np.flatnonzero(split == "validation")[:PARITY_ROWS]
    pixels = np.stack([pictures.load(images[row], spec.size, decoding) for row in some])
    precision = of_features["precision"]
    difference = fine_tuning.check_parity(joined, head, pixels, cached[some], precision)
    print(f"parity {difference:.1e}; trains from layer {backbone.layers[first].name} on")

    used = np.flatnonzero(split.isin(["train", "validation"]))
    split, classes, digests = split.iloc[used], classes[used], rows["sha256"].iloc[used].tolist()
    source = extraction.Source([images[row] for row in used], digests, decoding, runtime)
    plan = trunk.plan(backbone, first, settings, augmenting.varies(augmentation), split)
    with files.scratch(paths.INPUTS) as scratch:
        if plan:
            inputs, varied = trunk.activations(
                plan, of_features, source, split, settings, augmentation, scratch
            )
            model = classifier.join(plan.parts.top, head, head_spec)
            activations = inputs[np.searchsorted(used, some)]
            coarse = precision, settings.trunk_dtype
            fine_tuning.check_parity(model, head, activations, cached[some], *coarse)
        else:
            inputs = pictures.decode(source.images, spec.size, decoding, runtime.threads, scratch)
            varied, model = None, augmenting.in_front(joined, augmentation, settings.seed)
        batches = training.batches(inputs, classes, split, settings, varied)
        weighting = optimizing.class_weights(
            loss, classes[split == "train"], manifest.classes(rows)
        )
        paces = fine_tuning.paces(model, backbone, settings, len(batches[0]))
        best = training.fit(model, *batches, settings, loss, weighting, paths.FINE_TUNE_LOG, paces)

    with files.replacing(paths.FINE_TUNED) as partial:
        weights.save(joined, partial, of_features)
    print("best epoch {epoch}: validation loss {loss:.4f}, accuracy {accuracy:.4f}".format(**best))


def check_that_all_belong_together(expected: dict) -> dict:
    """Return the features' fingerprint. Raises UserError when they or the head do not fit."""
    expected = fingerprints.with_weights(expected, paths.BACKBONE)
    of_features = features.fingerprint(paths.FEATURES)
    fingerprints.check(of_features, expected, paths.FEATURES, "extract")
    fingerprints.check(weights.fingerprint(paths.HEAD), expected, paths.HEAD, "train_head")
    return of_features


if __name__ == "__main__":
    run(main)
