"""Train the head on the cached features; the backbone stays frozen.

Reads  data/manifest.csv, data/split.csv, data/features/, data/augmented_copies/,
       models/texts/ (with head.start: text)
Writes models/head.weights.h5
       metrics/train_head/: the log, and the best epoch's scores on validation
"""

import numpy as np

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from thaw.data import manifest
from thaw.evaluation import baseline
from thaw.features import arrays
from thaw.models import weights
from thaw.models.settings import Head
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.training import checkpoints, head_training
from thaw.training.head_training import HeadData, HeadFiles
from thaw.training.settings import Loss, Training

INPUTS = paths.MANIFEST, paths.SPLIT, paths.FEATURES, paths.AUGMENTED_COPIES, paths.TEXTS


def main() -> None:
    spec, settings = params.load(Head, "head"), params.load(Training, "train_head")
    loss = params.load(Loss, "loss")
    rows = manifest.read(paths.MANIFEST)
    split = manifest.read_split(paths.SPLIT, rows)
    names = manifest.classes(rows)
    texts = head_training.load_texts(spec.start, paths.TEXTS, paths.FEATURES, names)
    places = HeadFiles(paths.FEATURES, paths.AUGMENTED_COPIES, files.sha256(paths.SPLIT))
    features = head_training.load_features(places, spec.pooling, split, settings.seed)
    data = HeadData(*features, manifest.class_indices(rows), split, names, texts)
    say_baseline(data)
    checkpoint = checkpoints.place("train_head", INPUTS, [spec, loss, settings])
    head, best = head_training.train(data, spec, loss, settings, paths.HEAD_LOG, checkpoint)
    scores = {"head_val_acc": best["accuracy"], "head_val_loss": best["loss"]}
    files.write_json(paths.HEAD_LOG / "metrics.json", scores)
    with files.replacing(paths.HEAD) as partial:
        weights.save(head, partial, arrays.read_provenance(paths.FEATURES))
    files.remove(checkpoint)
    print("best epoch {epoch}: validation loss {loss:.4f}, accuracy {accuracy:.4f}".format(**best))


def say_baseline(data: HeadData) -> None:
    """Print what the features are worth on validation without training."""
    pooled = arrays.load(paths.FEATURES, arrays.POOLING, len(data.split))
    train, asked = (np.flatnonzero(data.split == part) for part in ("train", "validation"))
    found = baseline.predict(pooled, data.classes, train, asked)
    accuracy = {name: (each == data.classes[asked]).mean() for name, each in found.items()}
    said = ", ".join(f"{name} {each:.4f}" for name, each in accuracy.items())
    print(f"without training: validation accuracy {said}", flush=True)


if __name__ == "__main__":
    run(main)
