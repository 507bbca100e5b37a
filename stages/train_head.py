"""Train the head on the cached features; the backbone stays frozen.

Reads  data/manifest.csv, data/split.csv, data/features/, data/augmented_copies/
Writes models/head.weights.h5
       metrics/train_head/: the log, and the best epoch's scores on validation
"""

import numpy as np

from thaw.models.tf_setup import make_deterministic
from thaw.data import manifest
from thaw.features import arrays
from thaw.models import heads, weights
from thaw.models.settings import Head
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.training import loop, losses, optimizers
from thaw.training.batches import train_and_validation
from thaw.training.settings import Loss, Training


def main() -> None:
    spec, settings = params.load(Head, "head"), params.load(Training, "train_head")
    loss = params.load(Loss, "loss")
    rows = manifest.read(paths.MANIFEST)
    names, classes = manifest.classes(rows), manifest.class_indices(rows)
    split = manifest.read_split(paths.SPLIT, rows)
    inputs = arrays.load(paths.FEATURES, spec.pooling, len(rows))
    provenance = arrays.read_provenance(paths.FEATURES)
    of_copies = provenance | {"split_sha256": files.sha256(paths.SPLIT)}
    augmented = arrays.load_augmented(
        inputs, paths.AUGMENTED_COPIES, of_copies, spec.pooling,
        np.flatnonzero(split == "train"), settings.seed,
    )  # fmt: skip
    make_deterministic(settings.seed)
    head = heads.build(spec, inputs.shape[1:], len(names))
    train, validation = train_and_validation(inputs, classes, split, settings, augmented)
    weighting = losses.class_weights(loss, classes[split == "train"], names)
    optimizer = optimizers.build(settings, len(train))
    objective = losses.build(loss, head.output_shape[-1])
    loop.compile_for_training(head, optimizer, objective, train, settings)
    best = loop.fit(head, train, validation, settings, paths.HEAD_LOG, weighting)
    scores = {"head_val_acc": best["accuracy"], "head_val_loss": best["loss"]}
    files.write_json(paths.HEAD_LOG / "metrics.json", scores)
    with files.replacing(paths.HEAD) as partial:
        weights.save(head, partial, provenance)
    print("best epoch {epoch}: validation loss {loss:.4f}, accuracy {accuracy:.4f}".format(**best))


if __name__ == "__main__":
    run(main)
