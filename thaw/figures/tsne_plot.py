"""A t-SNE plot of the bottleneck features: images with similar features lie close together."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from thaw.figures.style import COLOURS, MARKERS, fit

KEPT = 50  # principal components, which t-SNE starts from
PERPLEXITY = 30  # about how many neighbours count
FEWEST = 8  # rows: of fewer there are no neighbourhoods to keep
CLASSES = 20  # at most, in colour
CROWDED = 500  # dots: for more, thinner rings
NAME = 170  # pixels of a class name


def positions(features: np.ndarray) -> np.ndarray:
    """Return positions in the plane, float64 (n, 2), of features float32 (n, d).

    They are t-SNE's (van der Maaten and Hinton 2008) of the first principal components, always the
    same for the same features. Distances within a neighbourhood count, those between do not.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count, width = features.shape
    centred = features.astype("float64") - features.mean(axis=0, dtype="float64")
    if not centred.any():  # nothing tells them apart
        return np.zeros((count, 2))
    with threadpool_limits(1):  # another number of threads would give other last digits
        reduced = PCA(min(KEPT, count, width), svd_solver="full").fit_transform(centred)
    if reduced.shape[1] < 2:
        reduced = np.hstack([reduced, np.zeros((count, 1))])
    if count < FEWEST:
        return reduced[:, :2]
    start = 1e-4 * reduced[:, :2] / reduced[:, 0].std()
    near = min(PERPLEXITY, (count - 1) / 3)
    with threadpool_limits(1):  # on a busy machine its threads wait for one another, for long
        plane = TSNE(perplexity=near, init=start, random_state=0).fit_transform(reduced)
    return plane.astype("float64")


def draw(
    points: np.ndarray,
    truth: np.ndarray,
    misclassified: np.ndarray,
    classes: Sequence[str],
    images: int,
) -> Figure:
    """Draw a dot for each of n test images, coloured by class, with a ring if it is misclassified.

    `points`: float64 (n, 2); `truth`: classes int (n,); `misclassified`: bool (n,); `images`:
    how many test images there are. With more than CLASSES classes, only those with the most dots
    are coloured.
    """
    figure, axis = plt.subplots(figsize=(9, 6), layout="constrained")
    dots = np.bincount(truth, minlength=len(classes))
    coloured = np.sort(np.argsort(-dots, kind="stable")[:CLASSES])
    for place, label in enumerate(coloured):
        axis.scatter(
            *points[truth == label].T, s=26, color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place // len(COLOURS) % len(MARKERS)],
            edgecolor="#444444", linewidth=0.4, label=fit(classes[label], NAME, 9),
        )  # fmt: skip
    rest = ~np.isin(truth, coloured)
    if rest.any():
        named = f"{len(classes) - CLASSES:,} more classes"
        axis.scatter(*points[rest].T, s=12, color="#bbbbbb", zorder=0, label=named)
    if misclassified.any():
        ring = {"facecolor": "none", "edgecolor": "black", "label": "misclassified"}
        crowded = len(points) > CROWDED
        axis.scatter(
            *points[misclassified].T,
            s=50 if crowded else 110,
            linewidth=0.5 if crowded else 1,
            **ring,
        )
    of = f"{len(points):,} of " if len(points) < images else ""
    title = (
        f"Frozen features of {of}{images:,} test images (t-SNE): similar ones lie close together"
    )
    axis.set(xticks=[], yticks=[], title=title)
    legend = {"title": "the most frequent classes", "title_fontsize": 9} if rest.any() else {}
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9, frameon=False, **legend)
    return figure
