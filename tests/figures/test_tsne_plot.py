import numpy as np
import pytest
from PIL import Image

from thaw.figures import style, tsne_plot


def clusters(count: int, width: int = 61) -> tuple[np.ndarray, np.ndarray]:
    """Return features float32 of three far classes, and the classes."""
    random = np.random.default_rng(3)
    truth = np.arange(count) % 3
    return (random.normal(size=(3, width)) * 9)[truth] + random.normal(size=(count, width)), truth


def test_similar_features_lie_close_and_always_at_the_same_place():
    features, truth = clusters(97)
    points = tsne_plot.positions(features.astype("float32"))
    assert (points.shape, points.dtype) == ((97, 2), np.dtype("float64"))
    assert (tsne_plot.positions(features.astype("float32")) == points).all()
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (truth[distance.argmin(axis=1)] == truth).all()


@pytest.mark.parametrize("count", [1, 2, 7, 9, 11])
@pytest.mark.parametrize("kind", ["far", "all the same", "one channel"])
def test_few_or_equal_features_have_positions_too(count, kind):
    features, _ = clusters(count, 1 if kind == "one channel" else 61)
    features = np.ones_like(features) if kind == "all the same" else features
    points = tsne_plot.positions(features.astype("float32"))
    assert points.shape == (count, 2)
    assert np.isfinite(points).all()


@pytest.mark.parametrize("classes", [2, 10, 200])
def test_draw(classes, tmp_path):
    truth = np.arange(401) % classes  # class 0 has one image more
    points = np.random.default_rng(1).normal(size=(401, 2))
    misclassified = truth == 1
    names = [f"{label} a long name of a class, and longer" for label in range(classes)]
    figure = tsne_plot.draw(points, truth, misclassified, names, 903)
    axis = figure.axes[0]
    labels = [text.get_text() for text in axis.get_legend().texts]
    assert labels[-1] == "misclassified"
    coloured = [label for label in labels if "…" in label]
    assert len(coloured) == min(classes, 20)
    assert ("180 more classes" in labels) == (classes == 200)
    assert "401 of 903 test images" in axis.get_title()
    looks = {
        (tuple(each.get_facecolor()[0]), each.get_paths()[0].vertices.tobytes())
        for each in axis.collections
        if each.get_label() in coloured
    }
    assert len(looks) == len(coloured)  # no two alike
    style.save(figure, tmp_path / "tsne.png")
    with Image.open(tmp_path / "tsne.png") as image:
        assert image.size == (1080, 720)
    nothing = tsne_plot.draw(points, truth, misclassified & False, names, 401).axes[0]
    assert nothing.get_legend().texts[-1].get_text() != "misclassified"
    assert nothing.get_title().startswith("Frozen features of 401 test images")
