"""All figures of a run, by name, from what it left."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.lib import (
    augmenting,
    certainty,
    curves,
    feature_plane,
    gradcam,
    manifest,
    network_figures,
    scores,
    sheets,
)

VARIATIONS = 9
Drawn = Iterator[tuple[str, Figure]]


class Run(NamedTuple):
    """What a run left.

    names: of the k classes. classes: int (n,) of each row of the manifest. train, test: the rows of
    these splits. chances: of the test pictures, float64 (len(test), k). features: float32 (n, d).
    logs: of head and fine-tuning, as `learning_log.read` gives them. network: pixels -> logits.
    load: from rows to their pictures, uint8 (len(rows), size, size, 3).
    """

    names: list[str]
    classes: np.ndarray
    train: np.ndarray
    test: np.ndarray
    chances: np.ndarray
    features: np.ndarray
    logs: tuple[pd.DataFrame, pd.DataFrame]
    network: keras.Model
    load: Callable[[np.ndarray], np.ndarray]

    @property
    def truth(self) -> np.ndarray:
        return self.classes[self.test]

    @property
    def guess(self) -> np.ndarray:
        return self.chances.argmax(axis=1)


def draw(
    run: Run, settings: sheets.Figures, augmentation: augmenting.Augmentation, blue_first: bool
) -> Drawn:
    """Yield each figure with its name; `blue_first` for a network that takes channels as BGR."""
    yield from _of_training(run, augmentation)
    yield from _of_scores(run)
    yield from _of_test(run, settings.pictures)
    yield "gradcam", _explained(run)
    backbone = network_figures.backbone(run.network)
    yield "kernels", network_figures.kernels(backbone, blue_first)
    picture, label = run.load(run.test[:1])[0], run.names[run.truth[0]]
    chosen = network_figures.layers_to_show(backbone, settings.layers)
    yield "feature_maps", network_figures.feature_maps(backbone, picture, chosen, label)
    yield "feature_plane", _on_a_plane(run, settings.points)


def _of_training(run: Run, augmentation: augmenting.Augmentation) -> Drawn:
    truth = run.classes[run.train]
    chosen = [run.load(run.train[some]) for some in sheets.sample_rows(truth, len(run.names))]
    yield "samples", sheets.samples(chosen, truth, run.names)
    picture = run.load(run.train[:1])[0]
    varied = augmenting.variations(picture, VARIATIONS, augmentation)
    yield "augmentation", sheets.augmented(picture, varied, augmentation.model_dump())


def _of_scores(run: Run) -> Drawn:
    yield "learning_curves", curves.learning_curves(*run.logs)
    yield "confusion_matrix", curves.confusion_matrix(run.truth, run.guess, run.names)
    yield "roc", curves.roc(run.truth, run.chances, run.names)
    yield "reliability", curves.reliability(scores.reliability(run.truth, run.chances))


def _of_test(run: Run, count: int) -> Drawn:
    some = manifest.first_of_each_class(run.truth, count)
    pixels = run.load(run.test[some])
    title = f"{len(some)} of {len(run.test)} test pictures; mistakes in orange"
    sheet = sheets.predictions(pixels, run.truth[some], run.guess[some], run.names, title)
    yield "pictures", sheet
    for name, rows in (
        ("mistakes", certainty.mistakes(run.truth, run.chances)),
        ("least_certain", certainty.hits(run.truth, run.chances)),
    ):
        some = rows[: certainty.SHOWN]
        title = certainty.title(name == "mistakes", len(rows), len(run.test))
        pixels, given = run.load(run.test[some]), (run.truth[some], run.chances[some])
        yield name, certainty.sheet(pixels, *given, run.names, title)


def _explained(run: Run) -> Figure:
    wrong = certainty.mistakes(run.truth, run.chances)
    rows = wrong if len(wrong) else certainty.hits(run.truth, run.chances)
    some = rows[: certainty.EXPLAINED]
    pixels, given = run.load(run.test[some]), (run.truth[some], run.chances[some])
    asked = (run.guess[some], certainty.rivals(*given))
    heats = [gradcam.heatmaps(run.network, pixels.astype("float32"), each) for each in asked]
    overlays = tuple(gradcam.overlay(pixels, heat) for heat in heats)
    title = certainty.explanation(len(wrong), heats[0].shape[1:])
    return certainty.explained(pixels, overlays, *given, run.names, title)


def _on_a_plane(run: Run, points: int) -> Figure:
    count = len(run.test)
    some = np.unique(np.linspace(0, count - 1, min(points, count)).astype(int))
    places = feature_plane.positions(run.features[run.test[some]])
    mistaken = (run.guess != run.truth)[some]
    return feature_plane.draw(places, run.truth[some], mistaken, run.names, count)
