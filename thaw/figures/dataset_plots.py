"""Plots of the dataset: image sizes, quarantined files, counts by class and split."""

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageFile

from thaw.figures.style import BLUE, GREEN, GREY, ORANGE, class_names, fit
from thaw.images.image_files import open_file, to_rgb
from thaw.images.settings import Decoding

SPLIT_COLOURS = {"train": BLUE, "validation": ORANGE, "test": GREEN, "excluded": GREY}
CLASSES = 60  # at most, with a bar of their own
SHOWN = 24  # quarantined files on the sheet
THUMBNAIL = 200  # pixels
WIDTH = 230  # pixels of a line of text above it
NAME = 200  # pixels of a class name


def sizes(manifest: pd.DataFrame) -> Figure:
    """Draw a dot for each image size; the more images have it, the larger its area."""
    counts = manifest[["width", "height"]].astype(int).value_counts().reset_index()
    figure, axis = plt.subplots(figsize=(6, 5), layout="constrained")
    area = 20 + 300 * counts["count"] / counts["count"].max()
    axis.scatter(counts["width"], counts["height"], area, color=BLUE, alpha=0.4, linewidth=0)
    most = counts.iloc[0]
    axis.set(
        xlabel="width in pixels",
        ylabel="height in pixels",
        title=f"{len(manifest)} images, {len(counts)} sizes; {most['count']} have "
        f"{most['width']} x {most['height']}",
    )
    axis.set_xlim(0, 1.1 * counts["width"].max())
    axis.set_ylim(0, 1.1 * counts["height"].max())
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    return figure


def quarantined(
    quarantine: pd.DataFrame, root: Path, settings: Decoding, max_pixels: int
) -> Figure:
    """Draw the first quarantined files, each with its name and reason.

    `quarantine`: columns path (below `root`) and reason. Files that cannot be decoded, or have more
    than `max_pixels`, are grey.
    """
    shown = quarantine.head(SHOWN)
    if not len(shown):
        figure = plt.figure(figsize=(9, 0.6))
        figure.text(0.02, 0.5, "nothing is quarantined", va="center", fontsize=12)
        return figure
    columns = 4
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(9, 0.6 + 2.5 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, row in zip(axes.flat, shown.itertuples()):
        axis.imshow(_preview(root / row.path, settings, max_pixels))
        reason = fit(textwrap.shorten(row.reason, 100, placeholder=" …"), 4 * WIDTH, 7.5)
        name = fit(row.path, WIDTH, 7.5)
        axis.set_title(f"{name}\n{textwrap.fill(reason, 30)}", fontsize=7.5)
    more = f", the first {len(shown)}" if len(shown) < len(quarantine) else ""
    figure.suptitle(f"{len(quarantine)} quarantined{more}")
    return figure


def _preview(path: Path, settings: Decoding, max_pixels: int) -> np.ndarray:
    """Return what can be decoded of a file, uint8 (h, w, 3), at most THUMBNAIL wide and high."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        if not path.is_file():
            raise OSError
        with open_file(path) as image:
            if image.width * image.height > max_pixels:
                raise OSError
            image = to_rgb(image, settings)
            image.thumbnail((THUMBNAIL, THUMBNAIL))
    except Exception:  # decoders raise all kinds; then there is nothing to see
        image = Image.new("RGB", (THUMBNAIL, 2 * THUMBNAIL // 3), (225, 225, 225))
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    return np.asarray(image)


def counts(table: pd.DataFrame) -> Figure:
    """Draw a bar for each class (rows of `table`, sorted), divided by split (columns).

    Of more than CLASSES classes those with the most and with the fewest images are shown.
    """
    shown, title = np.arange(len(table)), f"{table.to_numpy().sum():,} images by class and split"
    if len(table) > CLASSES:
        half = CLASSES // 2
        order = np.argsort(-table.sum(axis=1).to_numpy(), kind="stable")
        shown = np.concatenate([order[:half], order[-half:]])
        title += f":\nof {len(table):,} classes the {half} largest and the {half} smallest"
    names = class_names([*table.index])
    places = np.arange(len(shown)) + (np.arange(len(shown)) >= CLASSES // 2) * (
        len(table) > CLASSES
    )
    height = max(2.5, 1.3 + 0.28 * len(shown))
    figure, axis = plt.subplots(figsize=(8, height), layout="constrained")
    left, widest = np.zeros(len(shown)), table.sum(axis=1).max()
    for split in table.columns[table.sum() > 0]:
        values = table[split].to_numpy()[shown]
        axis.barh(places, values, left=left, color=SPLIT_COLOURS[split], label=split)
        for place, start, value in zip(places, left, values):
            if value > 0.05 * widest:
                axis.text(
                    start + value / 2, place, value, ha="center", va="center", color="white",
                    fontsize=8,
                )  # fmt: skip
        left += values
    axis.set_yticks(places, [fit(names[row], NAME, 9) for row in shown], fontsize=9)
    axis.invert_yaxis()
    axis.margins(y=0.01)
    axis.set(xlabel="images", title=title)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
