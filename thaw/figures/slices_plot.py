"""The accuracy of parts of the test images, as `slices.table` gives it."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from thaw.evaluation.slices import SIGNIFICANT
from thaw.figures.style import BLUE, GREY, ORANGE, fit

SHOWN = 24  # parts
NAME = 230  # pixels of a part's name
FONT = 8.5  # points


def draw(table: pd.DataFrame, accuracy: float) -> Figure:
    """Draw accuracy with its interval by part, those of one kind together, worst first.

    `table`: as `slices.table` gives it; of more than SHOWN parts the first ones are drawn. Those
    that are worse than the rest, hardly by chance, are orange. `accuracy`: of all test images.
    """
    shown = table.head(SHOWN)
    kinds = shown.groupby("by", sort=False).ngroup()
    shown = shown.iloc[np.argsort(kinds, kind="stable")]
    # A free line between two kinds.
    places = np.arange(len(shown)) + np.sort(kinds.to_numpy())
    height = 1.1 + 0.21 * (places.max(initial=0) + 2)
    figure, axis = plt.subplots(figsize=(7.5, height), layout="constrained")
    axis.axvline(accuracy, color=GREY, linestyle="--", linewidth=1, label="all test images")
    worse = (shown["p_value"] < SIGNIFICANT).to_numpy()
    for rows, colour, label in (
        (~worse, BLUE, "part, with its interval"),
        (worse, ORANGE, "worse than the rest, hardly by chance"),
    ):
        some = shown[rows]
        if len(some):
            axis.hlines(places[rows], some["low"], some["high"], color=colour, linewidth=1.5)
            axis.plot(some["accuracy"], places[rows], "o", color=colour, label=label)
    names = [fit(f"{by}: {part}", NAME, FONT) for by, part in zip(shown["by"], shown["part"])]
    axis.set_yticks(places, names, fontsize=FONT)
    counts = axis.secondary_yaxis("right")
    counts.set_yticks(places, [f"{count:,}" for count in shown["images"]], fontsize=FONT)
    counts.tick_params(length=0)
    counts.set_ylabel("images", fontsize=FONT)
    axis.set_ylim(places.max(initial=0) + 1, -1)
    axis.set(xlabel="accuracy", xlim=(min([accuracy, *shown["low"]]) - 0.03, 1.01))
    axis.set_title(_title(len(shown), len(table)), fontsize=10.5)
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=FONT)
    return figure


def _title(shown: int, parts: int) -> str:
    if not parts:
        return "No part of the test images is large enough to look at"
    some = f"the {shown} most doubtful of {parts} parts" if shown < parts else f"{parts} parts"
    return f"Accuracy on {some} of the test images"
