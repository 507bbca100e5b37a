"""Plots of a run's metrics: learning curves, ROC curves, reliability, and risk by coverage."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thaw.evaluation import metrics
from thaw.figures.style import BLUE, COLOURS, GREY, ORANGE, fit

CURVES = 8  # classes with a ROC curve of their own
NAME = 130  # pixels of a class name
CORNER = 0.2  # of the ROC curves, drawn once more


def learning_curves(head: pd.DataFrame, fine_tune: pd.DataFrame) -> Figure:
    """Draw loss and accuracy of both phases over one epoch axis; a line divides the phases.

    `head`, `fine_tune`: by epoch from 0 (before the first), columns train/loss, validation/loss,
    train/accuracy, validation/accuracy.
    """
    unfrozen = head.index.max()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, metric in zip(axes, ("loss", "accuracy")):
        for part, colour in (("train", BLUE), ("validation", ORANGE)):
            first, second = head[f"{part}/{metric}"], fine_tune[f"{part}/{metric}"]
            axis.plot(first.index, first, color=colour, label=part)
            axis.plot(second.index + unfrozen, second, color=colour)
        axis.axvline(unfrozen, color=GREY, linestyle="--", linewidth=1)
        axis.annotate(
            "fine-tuning starts", (unfrozen, 0.5), xycoords=("data", "axes fraction"), rotation=90,
            xytext=(-4, 0), textcoords="offset points", ha="right", va="center", color=GREY,
        )  # fmt: skip
        axis.set(xlabel="epoch", ylabel=metric, title=metric.capitalize())
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    axes[0].set_ylim(bottom=0)
    axes[0].legend()
    return figure


def roc(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw the ROC curve of each class against the rest, by probabilities (n, k), and their mean.

    With more than CURVES classes, those with the smallest areas are drawn. The upper left corner is
    drawn once more, larger, where the mean reaches it.
    """
    from sklearn.metrics import auc, roc_curve

    curves = [
        roc_curve(truth == label, probabilities[:, label])[:2] for label in range(len(classes))
    ]
    areas = np.array([auc(*curve) for curve in curves])
    shown = np.arange(len(classes))
    if len(classes) > CURVES:
        shown = np.argsort(areas, kind="stable")[:CURVES]
    x = np.unique(np.concatenate([false for false, _ in curves]))
    y = sum(np.interp(x, *curve) for curve in curves) / len(curves)  # never all at once
    near = bool(np.interp(CORNER, x, y) > 1 - CORNER)
    figure, axes = plt.subplots(
        1, 1 + near, figsize=(9, 5) if near else (5.8, 5), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.plot((0, 1), (0, 1), color=GREY, linestyle=":", linewidth=1)
        for label, colour in zip(shown, COLOURS):
            named = f"{fit(classes[label], NAME, 8)}  {areas[label]:.3f}"
            axis.plot(*curves[label], color=colour, linewidth=1.2, label=named)
        named = f"mean of {len(classes):,}  {areas.mean():.3f}"
        axis.plot(
            [0, *x], [0, *y], drawstyle="steps-post", color="black", linewidth=3, alpha=0.5,
            label=named,
        )  # fmt: skip
        axis.set(xlabel="false positive rate", ylabel="true positive rate")
        axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axis.grid(alpha=0.3)
    if near:
        axes[0, 1].set(title="its upper left corner")
        axes[0, 1].set(xlim=(-0.002, CORNER), ylim=(1 - CORNER, 1.002))
    lowest = (
        f"the {CURVES} lowest of {len(classes):,}" if len(classes) > CURVES else "with its area"
    )
    axes[0, 0].set_title(f"ROC, each class against the rest, {lowest}", fontsize=11)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    # no place inside is free of curves
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def reliability(table: pd.DataFrame, bins: int = metrics.BINS) -> Figure:
    """Draw accuracy by confidence with 95 % intervals, and below it the numbers of images.

    `table`: as `metrics.reliability` gives it.
    """
    from scipy.stats import binomtest

    correct = (table["accuracy"] * table["images"]).round().astype(int)
    intervals = [
        binomtest(*counts).proportion_ci(0.95, method="wilson")
        for counts in zip(correct, table["images"])
    ]
    low, high = np.array(intervals).T
    figure, (axis, below) = plt.subplots(
        2, 1, figsize=(6, 5), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    left = min(0.5, np.floor(table["confidence"].min() * bins) / bins)
    axis.plot((0, 1), (0, 1), color=GREY, linestyle=":", label="perfect calibration")
    axis.vlines(table["confidence"], low, high, color=BLUE, linewidth=1.5)
    points = table["confidence"], table["accuracy"]
    axis.plot(*points, "o", color=BLUE, label="test images, 95 % intervals")
    axis.set(ylabel="accuracy", ylim=(-0.02, 1.02), xlim=(left - 0.01, 1.01))
    axis.set_title(f"Expected calibration error {metrics.calibration_error(table):.3f}")
    axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)  # no place inside is free
    part = np.minimum((table["confidence"] * bins).astype(int), bins - 1)
    bars = below.bar((part + 0.5) / bins, table["images"], 0.8 / bins, color=BLUE)
    below.bar_label(bars, fontsize=8)
    below.margins(y=0.3)
    below.set(xlabel="confidence: probability of the predicted class", ylabel="images")
    return figure


def risk_coverage(table: pd.DataFrame, unsure: float | None) -> Figure:
    """Draw the error among the surest images by how many are answered (Geifman and others 2017).

    `table`: as `selection.risk_coverage` gives it; unsure: the confidence below which an image is
    called unsure, marked; None for no mark.
    """
    figure, axis = plt.subplots(figsize=(6, 4.2), layout="constrained")
    coverage, risk = 100 * table["coverage"], 100 * table["risk"]
    axis.plot(coverage, risk, color=BLUE, linewidth=2, label="the surest first")
    overall = risk.iloc[-1]
    axis.axhline(overall, color=GREY, linestyle=":", label=f"in any order: {overall:.1f} %")
    answered = table[table["confidence"] >= (unsure or 0.0)]
    if unsure is not None and len(answered):
        at = answered.iloc[-1]
        text = f"from {unsure:.3f} on: {100 * at['risk']:.1f} % of {100 * at['coverage']:.0f} %"
        axis.plot(100 * at["coverage"], 100 * at["risk"], "o", color=ORANGE, label=text)
    axis.set(xlabel="test images that are answered, %", ylabel="of these misclassified, %")
    axis.set(xlim=(0, 101), ylim=(0, None))
    axis.set_title("Error by coverage")
    axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure
