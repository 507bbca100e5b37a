"""Train the head on the cached features; the backbone stays frozen.

Reads  data/manifest.csv, data/split.csv, data/features/, data/views/
Writes models/head.weights.h5
       metrics/train_head/: the log, and the best epoch's scores on validation
"""

import numpy as np

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    features,
    feeding,
    files,
    heads,
    manifest,
    optimizing,
    params,
    paths,
    training,
    weights,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import run


def main() -> None:
    spec, settings = params.load(heads.Head, "head"), params.load(training.Training, "train_head")
    loss = params.load(optimizing.Loss, "loss")
    rows = manifest.read(paths.MANIFEST)
    names, classes = manifest.classes(rows), manifest.class_indices(rows)
    split = manifest.read_split(paths.SPLIT, rows)
    inputs = features.load(paths.FEATURES, spec.pooling, len(rows))
    fingerprint = features.fingerprint(paths.FEATURES)
    of_views = fingerprint | {"split_sha256": files.sha256(paths.SPLIT)}
    train = np.flatnonzero(split == "train")
    varied = features.load_varied(inputs, paths.VIEWS, of_views, spec.pooling, train, settings.seed)
    make_deterministic(settings.seed)
    head = heads.build(spec, inputs.shape[1:], len(names))
    batches = feeding.train_and_validation(inputs, classes, split, settings, varied)
    weighting = optimizing.class_weights(loss, classes[split == "train"], names)
    best = training.fit(head, *batches, settings, loss, weighting, paths.HEAD_LOG)
    with files.replacing(paths.HEAD) as partial:
        weights.save(head, partial, fingerprint)
    print("best epoch {epoch}: validation loss {loss:.4f}, accuracy {accuracy:.4f}".format(**best))


if __name__ == "__main__":
    run(main)
