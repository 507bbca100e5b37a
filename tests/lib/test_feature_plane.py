import numpy as np
import pytest
from PIL import Image

from stages.lib import feature_plane, figures


def clusters(count: int, width: int = 61) -> tuple[np.ndarray, np.ndarray]:
    """Return features float32 of three far classes, and the classes."""
    random = np.random.default_rng(3)
    truth = np.arange(count) % 3
    return (random.normal(size=(3, width)) * 9)[truth] + random.normal(size=(count, width)), truth


def test_alike_lie_close_and_always_at_the_same_place():
    features, truth = clusters(97)
    places = feature_plane.positions(features.astype("float32"))
    assert (places.shape, places.dtype) == ((97, 2), np.dtype("float64"))
    assert (feature_plane.positions(features.astype("float32")) == places).all()
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (truth[distance.argmin(axis=1)] == truth).all()


@pytest.mark.parametrize("count", [1, 2, 7, 9, 11])
@pytest.mark.parametrize("kind", ["far", "all the same", "one channel"])
def test_few_or_dull_pictures_have_places_too(count, kind):
    features, _ = clusters(count, 1 if kind == "one channel" else 61)
    features = np.ones_like(features) if kind == "all the same" else features
    places = feature_plane.positions(features.astype("float32"))
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


@pytest.mark.parametrize("classes", [2, 10, 200])
def test_draw(classes, tmp_path):
    truth = np.arange(401) % classes
    places = np.random.default_rng(1).normal(size=(401, 2))
    mistaken = truth == 1
    names = [f"{label} a long name of a class, and longer" for label in range(classes)]
    figure = feature_plane.draw(places, truth, mistaken, names, 903)
    axis = figure.axes[0]
    labels = [text.get_text() for text in axis.get_legend().texts]
    assert labels[-1] == "mistaken"
    coloured = [label for label in labels if label.endswith("…")]
    assert len(coloured) == min(classes, 20)
    assert ("180 more classes" in labels) == (classes == 200)
    assert "401 of 903 test pictures" in axis.get_title()
    looks = {
        (tuple(each.get_facecolor()[0]), each.get_paths()[0].vertices.tobytes())
        for each in axis.collections
        if each.get_label() in coloured
    }
    assert len(looks) == len(coloured)  # no two alike
    figures.save(figure, tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (1080, 720)
    nothing = feature_plane.draw(places, truth, mistaken & False, names, 401).axes[0]
    assert nothing.get_legend().texts[-1].get_text() != "mistaken"
    assert nothing.get_title().startswith("Frozen features of 401 test pictures")
