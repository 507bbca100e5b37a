"""What cached augmented copies do for the head:
`python -m benchmarks.augmented_copies FOLDER_OR_ARCHIVE --size 160`.

Trains the head of params.yaml on the source's training images, without and with `--copies`
augmented copies of each, alternating, with the same `--seeds` seeds. Scores it on all of the
source's validation images, as benchmarks.backbones does. AUGMENTATION says how the copies differ.
Writes benchmarks/augmented_copies.json.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from benchmarks.backbones import extract, score
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.features import arrays
from thaw.labels import layout
from thaw.models.settings import Backbone
from thaw.project import files
from thaw.project.cli import run
from thaw.training.augmentation import augmented_copies
from thaw.training.settings import Augmentation

AUGMENTATION = Augmentation(
    policy="none",
    flip="horizontal",
    rotation=0.05,
    translation=0.0,
    zoom=0.1,
    shear=0.0,
    brightness=0.1,
    contrast=0.1,
    fill_mode="nearest",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--name", default="EfficientNetLite0")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    spec = Backbone(name=options.name, weights="imagenet", image_size=options.size)
    with unpacked(options.source) as root, tempfile.TemporaryDirectory() as folder:
        found = layout.find(root).found
        split = np.array([each.given for each in found])
        truth = pd.Categorical([each.label for each in found]).codes.astype("int32")
        paths, train = [each.path for each in found], np.flatnonzero(split == "train")
        inputs = extract(spec, paths, Path(folder) / "plain")
        trained = [paths[row] for row in train]
        digests = [files.sha256(path) for path in trained]
        copies = augmented_copies(digests, options.copies, AUGMENTATION)
        copies = extract(spec, trained, Path(folder) / "copies", copies)
        rows = []
        for seed in range(1, options.seeds + 1):
            for count in (0, options.copies):
                augmented = arrays.AugmentedRows(inputs, copies, train, seed) if count else None
                began = time.perf_counter()
                best = score(inputs, truth, split, Path(folder) / "log", seed, augmented)
                rows.append({"augmented_copies": count, "seed": seed, **best})
                rows[-1]["seconds"] = round(time.perf_counter() - began, 1)
    save("augmented_copies", rows)
    print(block("augmented_copies"))


if __name__ == "__main__":
    run(main)
