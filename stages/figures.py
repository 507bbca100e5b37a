"""Draw the run: its pictures, curves, mistakes and what the network looks at.

Reads  data/manifest.csv, data/split.csv, data/raw/, data/features/, data/predictions.csv,
       models/fine_tuned.weights.h5, both logs
Writes metrics/figures/*.png
"""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    augmenting,
    backbones,
    certainty,
    classifier,
    curves,
    feature_map,
    features,
    figures,
    files,
    fingerprints,
    gradcam,
    heads,
    manifest,
    network_figures,
    networks,
    params,
    paths,
    pictures,
    scores,
    sheets,
    training,
    weights,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import run

VARIATIONS = 9


def main() -> None:
    settings = params.load(sheets.Figures, "figures")
    spec, head_spec = params.load(backbones.Backbone, "backbone"), params.load(heads.Head, "head")
    decoding = params.load(pictures.Pictures, "pictures")
    augmentation = params.load(augmenting.Augmentation, "augmentation")
    everything = manifest.read(paths.MANIFEST)
    names, classes = manifest.classes(everything), manifest.class_indices(everything)
    split = manifest.read_split(paths.SPLIT, everything)
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    chances = scores.read_predictions(paths.PREDICTIONS, everything.iloc[test], names)
    made_with = weights.fingerprint(paths.FINE_TUNED)
    fingerprints.check(
        made_with, backbones.fingerprint(spec, decoding), paths.FINE_TUNED, "fine_tune"
    )
    make_deterministic()
    network = classifier.load(spec, head_spec, len(names), paths.FINE_TUNED)
    images = manifest.image_paths(everything, paths.RAW)

    def load(rows: np.ndarray) -> np.ndarray:
        """Return pictures by rows of the manifest, uint8 (n, size, size, 3)."""
        loaded = [pictures.load(images[row], spec.size, decoding) for row in rows]
        return np.array(loaded, "uint8").reshape(-1, spec.size, spec.size, 3)

    drawn = 0
    with files.replacing(paths.FIGURES) as folder:
        for part in (
            of_training(load, train, classes[train], names, augmentation),
            of_scores(classes[test], chances, names),
            of_test(load, test, classes[test], chances, names, settings.pictures, network),
            of_network(network, spec, load(test[:1])[0], names[classes[test[0]]], settings.layers),
            of_features(len(images), head_spec, test, classes[test], chances, names, settings),
        ):
            for name, figure in part:
                figures.save(figure, folder / f"{name}.png")
                drawn += 1
    print(f"{paths.FIGURES}/: {drawn} figures")


Drawn = Iterator[tuple[str, Figure]]


def of_training(load, rows, truth, names, augmentation) -> Drawn:
    """Draw training pictures, of `rows` of the manifest with the classes `truth`."""
    chosen = sheets.sample_rows(truth, len(names))
    yield "samples", sheets.samples([load(rows[some]) for some in chosen], truth, names)
    picture = load(rows[:1])[0]
    varied = augmenting.variations(picture, VARIATIONS, augmentation)
    yield "augmentation", sheets.augmented(picture, varied, augmentation.model_dump())


def of_scores(truth, chances, names) -> Drawn:
    """Draw what the scores of the test pictures are made of, and how they came about."""
    logs = [training.read_log(log) for log in (paths.HEAD_LOG, paths.FINE_TUNE_LOG)]
    yield "learning_curves", curves.learning_curves(*logs)
    yield "confusion_matrix", curves.confusion_matrix(truth, chances.argmax(axis=1), names)
    yield "roc", curves.roc(truth, chances, names)
    yield "reliability", curves.reliability(scores.reliability(truth, chances))


def of_test(load, rows, truth, chances, names, count, network) -> Drawn:
    """Draw test pictures: some of each class, the most telling ones, and why they were taken so."""
    some = sheets.first_of_each_class(truth, count)
    guess = chances.argmax(axis=1)
    title = f"{len(some)} of {len(rows)} test pictures; mistakes in orange"
    yield "pictures", sheets.predictions(load(rows[some]), truth[some], guess[some], names, title)
    wrong, right = certainty.mistakes(truth, chances), certainty.hits(truth, chances)
    for name, found in (("mistakes", wrong), ("least_certain", right)):
        some = found[: certainty.SHOWN]
        title = certainty.title(name == "mistakes", len(found), len(rows))
        pixels = load(rows[some])
        yield name, certainty.sheet(pixels, truth[some], chances[some], names, title)
    some = (wrong if len(wrong) else right)[: certainty.EXPLAINED]
    pixels, asked = load(rows[some]), (guess[some], certainty.rivals(truth, chances)[some])
    heats = [gradcam.heatmaps(network, pixels.astype("float32"), each) for each in asked]
    overlays = [gradcam.overlay(pixels, heat) for heat in heats]
    title = certainty.explanation(len(wrong), heats[0].shape[1:])
    yield "gradcam", certainty.explained(pixels, overlays, truth[some], chances[some], names, title)


def of_network(network, spec, picture, label, layers) -> Drawn:
    """Draw the first layer's kernels, and layers' maps of one picture."""
    backbone = network_figures.backbone(network)
    blue_first = networks.NETWORKS[spec.name].preprocess == "caffe"
    yield "kernels", network_figures.kernels(backbone, blue_first)
    chosen = network_figures.layers_to_show(backbone, layers)
    yield "feature_maps", network_figures.feature_maps(backbone, picture, chosen, label)


def of_features(count, head_spec, rows, truth, chances, names, settings) -> Drawn:
    """Draw the frozen network's features of test pictures on a plane."""
    pooling = "avg" if head_spec.pooling == "flatten" else head_spec.pooling
    some = np.unique(np.linspace(0, len(rows) - 1, min(settings.points, len(rows))).astype(int))
    found = features.load(paths.FEATURES, pooling, count)[rows[some]]
    mistaken = (chances.argmax(axis=1) != truth)[some]
    places = feature_map.positions(found)
    yield "feature_map", feature_map.draw(places, truth[some], mistaken, names, len(rows))


if __name__ == "__main__":
    run(main)
