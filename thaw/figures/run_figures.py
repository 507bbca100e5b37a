"""All figures of a run by name, drawn from what it left."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from thaw.calibration import selection
from thaw.data import manifest
from thaw.evaluation import gradcam, metrics
from thaw.evaluation.run_result import RunResult
from thaw.figures import (
    confusion_plot,
    error_grids,
    image_grid,
    metric_plots,
    network_plots,
    slices_plot,
    tsne_plot,
)
from thaw.figures.style import class_names
from thaw.images.loader import ImageLoader
from thaw.training.augmentation import augmented_images
from thaw.training.settings import Augmentation

AUGMENTED = 9  # copies of an image
Drawn = Iterator[tuple[str, Figure]]


def of_training_images(run: RunResult, loader: ImageLoader, augmentation: Augmentation) -> Drawn:
    """Yield "samples" and "augmentation"."""
    truth = run.truth[run.train]
    chosen = {
        label: loader.stack(run.images(run.train[rows]))
        for label, rows in image_grid.sample_rows(truth, len(run.classes)).items()
    }
    yield "samples", image_grid.samples(chosen, truth, class_names(run.classes))
    [image] = loader.stack(run.images(run.train[:1]))
    copies = augmented_images(image, AUGMENTED, augmentation)
    yield "augmentation", image_grid.augmented(image, copies, augmentation.model_dump())


def of_metrics(
    run: RunResult, logs: tuple[pd.DataFrame, pd.DataFrame], unsure: float | None
) -> Drawn:
    """Yield "learning_curves", "confusion_matrix", "roc", "reliability", "risk_coverage" and
    "slices".

    `logs`: of the head and of fine-tuning, as `history.read` gives them. `unsure`: the confidence
    below which an image is called unsure, None for none.
    """
    (truth, predicted), names = _truth_and_predicted(run), class_names(run.classes)
    yield "learning_curves", metric_plots.learning_curves(*logs)
    yield "confusion_matrix", confusion_plot.draw(truth, predicted, names)
    yield "roc", metric_plots.roc(truth, run.probabilities, names)
    yield "reliability", metric_plots.reliability(metrics.reliability(truth, run.probabilities))
    curve = selection.risk_coverage(truth, run.probabilities)
    yield "risk_coverage", metric_plots.risk_coverage(curve, unsure)
    yield "slices", slices_plot.draw(run.slices, float((truth == predicted).mean()))


def of_test_images(run: RunResult, loader: ImageLoader, count: int) -> Drawn:
    """Yield "images" with up to `count` test images, "misclassified" and "least_certain"."""
    (truth, predicted), names = _truth_and_predicted(run), class_names(run.classes)
    rows = manifest.first_of_each_class(truth, count)
    pixels = loader.stack(run.images(run.test[rows]))
    shown = len(np.unique(truth[rows]))
    some = f", of {shown} of {len(names):,} classes" if shown < len(names) else ""
    title = f"{len(rows)} of {len(truth):,} test images{some}, the misclassified ones in orange"
    labels = truth[rows], predicted[rows]
    yield "images", image_grid.predictions(pixels, *labels, names, title)
    for name, kind, found in (
        ("misclassified", "misclassified", error_grids.misclassified(truth, run.probabilities)),
        ("least_certain", "correct", error_grids.correct(truth, run.probabilities)),
    ):
        rows = found[: error_grids.SHOWN]
        pixels = loader.stack(run.images(run.test[rows]))
        given = truth[rows], run.probabilities[rows], names
        yield (
            name,
            error_grids.draw(pixels, *given, error_grids.title_of(kind, len(found), len(truth))),
        )


def of_network(
    run: RunResult,
    loader: ImageLoader,
    network: keras.Model,
    layers: str | Sequence[str],
    channel_order: network_plots.ChannelOrder,
) -> Drawn:
    """Yield "gradcam", "kernels" and "feature_maps" of the joined network, pixels -> logits.

    `layers`: whose feature maps to draw, by name, or "auto". Raises UserError for a wrong name.
    """
    yield "gradcam", _gradcam(run, loader, network)
    backbone = network_plots.backbone(network)
    yield "kernels", network_plots.kernels(backbone, channel_order)
    [image] = loader.stack(run.images(run.test[:1]))
    label = class_names(run.classes)[run.truth[run.test[0]]]
    chosen = network_plots.layers_to_show(backbone, layers)
    yield "feature_maps", network_plots.feature_maps(backbone, image, chosen, label)


def of_features(run: RunResult, features: np.ndarray, count: int) -> Drawn:
    """Yield "feature_plane" with up to `count` test images.

    `features`: those of all images, float32 (n, d), in the manifest's order.
    """
    truth, predicted = _truth_and_predicted(run)
    rows = np.unique(np.linspace(0, len(truth) - 1, min(count, len(truth))).astype(int))
    points = tsne_plot.positions(features[run.test[rows]])
    misclassified = (predicted != truth)[rows]
    yield (
        "feature_plane",
        tsne_plot.draw(points, truth[rows], misclassified, class_names(run.classes), len(truth)),
    )


def _truth_and_predicted(run: RunResult) -> tuple[np.ndarray, np.ndarray]:
    """Return the actual and the predicted class of each test image, int (len(run.test),) each."""
    return run.truth[run.test], run.probabilities.argmax(axis=1)


def _gradcam(run: RunResult, loader: ImageLoader, network: keras.Model) -> Figure:
    truth, _ = _truth_and_predicted(run)
    wrong = error_grids.misclassified(truth, run.probabilities)
    found = wrong if len(wrong) else error_grids.correct(truth, run.probabilities)
    rows = found[: error_grids.EXPLAINED]
    pixels, given = loader.stack(run.images(run.test[rows])), (truth[rows], run.probabilities[rows])
    asked = given[1].argmax(axis=1), error_grids.rivals(*given)
    heats = [gradcam.heatmaps(network, pixels.astype("float32"), each) for each in asked]
    overlays = tuple(gradcam.overlay(pixels, heat) for heat in heats)
    title = error_grids.gradcam_title(len(wrong), heats[0].shape[1:])
    return error_grids.draw_gradcam(pixels, overlays, *given, class_names(run.classes), title)
