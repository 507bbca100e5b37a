"""The score by the number of training images, and what more of them would bring."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from thaw.figures.style import BLUE, COLOURS, GREY, ORANGE, fit
from tools.labelling import training_size
from tools.labelling.training_size import Forecast, Measured

SHOWN = len(COLOURS)  # classes
NAME = 130  # pixels of a class name
POINTS = 60  # of the curve
ROOM, LEAST = 0.005, 0.05  # of a score: above 1 and below 0, and on the whole axis


def draw(
    measured: Measured, forecast: Forecast, classes: pd.DataFrame, names: Sequence[str]
) -> Figure:
    """Draw the validation accuracy with its law, up to twice the images, and F1 by class.

    `classes`: what `training_size.by_class` gave; of many the first SHOWN are drawn. `names`: of
    all classes.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    _accuracy(axes[0], measured, forecast)
    _by_class(axes[1], measured, classes["class"].head(SHOWN), names)
    for axis in axes:
        low, high = axis.get_ylim()
        high = 1 + ROOM if high > 1 - ROOM else high
        axis.set_ylim(min(max(low, -ROOM), high - LEAST), high)
        axis.grid(alpha=0.3)
    if len(names) > SHOWN:
        axes[1].set_title(f"F1 of the {SHOWN} of {len(names):,} classes that need images most")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
    return figure


def _accuracy(axis: Axes, measured: Measured, forecast: Forecast) -> None:
    accuracy, last = measured.accuracy, measured.images[-1]
    x = np.geomspace(measured.images[0], 2 * last, POINTS)
    curves = np.array([law.accuracy(x) for law in forecast.laws])
    axis.fill_between(x, *np.quantile(curves, [0.025, 0.975], axis=0), color=BLUE, alpha=0.15, lw=0)
    known = x <= last
    axis.plot(x[known], forecast.law.accuracy(x[known]), color=BLUE, label="power law, 95 % band")
    axis.plot(x[~known], forecast.law.accuracy(x[~known]), color=BLUE, linestyle="--")
    spread = accuracy.std(axis=1)
    mean = accuracy.mean(axis=1)
    axis.errorbar(
        measured.images, mean, spread, fmt="o", color=ORANGE, capsize=2, zorder=3,
        label=f"mean and spread of {accuracy.shape[1]} draws",
    )  # fmt: skip
    axis.axvline(last, color=GREY, linestyle=":", linewidth=1, label="all training images")
    _by_images(axis, [*measured.images, 2 * last])
    axis.set(ylabel="accuracy", title="Accuracy on validation images")
    axis.legend(loc="lower right", fontsize=8)


def _by_class(axis: Axes, measured: Measured, shown: pd.Series, names: Sequence[str]) -> None:
    f1 = training_size.f1(measured)
    for label, colour in zip(shown, COLOURS):
        named = fit(names[label], NAME, 8)
        axis.plot(measured.images, f1[:, label], "o-", color=colour, markersize=3, label=named)
    _by_images(axis, measured.images)
    axis.set(ylabel="F1", title="F1 by class")


def _by_images(axis: Axes, images: Sequence[int]) -> None:
    """Let an axis grow by doublings, with the numbers of images that were measured."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(images)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params("x", labelrotation=45)
    axis.set_xlabel("training images")
