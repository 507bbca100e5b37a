"""Draw the run: its pictures, curves, mistakes and what the network looks at.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/, data/predictions.csv,
       models/fine_tuned.weights.h5, both logs
Writes metrics/figures/*.png
"""

import numpy as np

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    augmenting,
    backbones,
    classifier,
    features,
    figures,
    files,
    fingerprints,
    gallery,
    heads,
    learning_log,
    manifest,
    networks,
    params,
    paths,
    pictures,
    scores,
    sheets,
    weights,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import run


def main() -> None:
    settings = params.load(sheets.Figures, "figures")
    spec, head_spec = params.load(backbones.Backbone, "backbone"), params.load(heads.Head, "head")
    decoding = params.load(pictures.Pictures, "pictures")
    augmentation = params.load(augmenting.Augmentation, "augmentation")
    rows = manifest.read(paths.MANIFEST)
    names, images = manifest.classes(rows), manifest.image_paths(rows, paths.RAW)
    split = manifest.read_split(paths.SPLIT, rows)
    test = np.flatnonzero(split == "test")
    expected = backbones.fingerprint(spec, decoding)
    made_with = weights.fingerprint(paths.FINE_TUNED)
    fingerprints.check(made_with, expected, paths.FINE_TUNED, "fine_tune")
    make_deterministic()

    def load(chosen: np.ndarray) -> np.ndarray:
        loaded = [pictures.load(images[row], spec.size, decoding) for row in chosen]
        return np.array(loaded, "uint8").reshape(-1, spec.size, spec.size, 3)

    pooling = "avg" if head_spec.pooling == "flatten" else head_spec.pooling
    left = gallery.Run(
        names=names,
        classes=manifest.class_indices(rows),
        train=np.flatnonzero(split == "train"),
        test=test,
        chances=scores.read_predictions(paths.PREDICTIONS, rows.iloc[test], names),
        features=features.load(paths.FEATURES, pooling, len(rows)),
        logs=tuple(learning_log.read(log) for log in (paths.HEAD_LOG, paths.FINE_TUNE_LOG)),
        network=classifier.load(spec, head_spec, len(names), paths.FINE_TUNED),
        load=load,
    )
    blue_first = networks.NETWORKS[spec.name].preprocess == "caffe"
    with files.replacing(paths.FIGURES) as folder:
        for name, figure in gallery.draw(left, settings, augmentation, blue_first):
            figures.save(figure, folder / f"{name}.png")
    print(f"{paths.FIGURES}/: {len([*paths.FIGURES.iterdir()])} figures")


if __name__ == "__main__":
    run(main)
