import numpy as np
import pandas as pd
import pytest

from thaw.features import arrays
from tools.serving import drift
from tools.serving.neighbours import TrainingImages

CHANNELS = 24
COUNT = 300


def images(random: np.random.Generator, classes: np.ndarray) -> np.ndarray:
    """Return features of images; those of class 1 lie wider apart than those of class 0."""
    centres = np.zeros((3, CHANNELS), "float32")
    centres[0, 0], centres[1, 1], centres[2, 2] = 9, 9, 9
    spread = np.array([0.5, 3.0, 0.5])[classes][:, None]
    noise = random.normal(size=(len(classes), CHANNELS)) * spread
    return (centres[classes] + noise).astype("float32")


@pytest.fixture
def training() -> TrainingImages:
    random, classes = np.random.default_rng(0), np.arange(COUNT) % 2
    rows = pd.DataFrame({"label": np.array(["plain", "wild"])[classes]})
    known, validation = (arrays.directions(images(random, classes)) for _ in range(2))
    return TrainingImages(rows, known, validation, None, None)


def said(training: TrainingImages, classes: list[int], seed: int = 5) -> str:
    comparison = drift.Comparison(training)
    for features in images(np.random.default_rng(seed), np.array(classes)):
        comparison.note(features)
    return comparison.line()


@pytest.mark.parametrize("classes", [[0, 1] * 40, [1] * 67, [0] * 9, [1]])
def test_images_of_the_same_kind_are_alike_also_of_one_class(training, classes):
    count = f"{len(classes)} image{'s' if len(classes) > 1 else ''} can tell"
    assert said(training, classes).startswith(f"like the training images, as far as {count} (p = ")


def test_images_of_another_kind_are_not(training):
    line = said(training, [2] * 131)
    assert line.startswith("UNLIKE the training images (p = ")
    assert line.endswith(
        "100% of 131 images are further from them than 95% of the validation images"
    )
    assert said(training, [0, 1, 2] * 41).startswith("UNLIKE")


def test_training_images_themselves_are_alike(training):
    comparison = drift.Comparison(training)
    for direction in training.directions:
        comparison.note(direction)
    assert comparison.line().startswith("like the training images, as far as 300 images can tell")


def test_chance_alone_is_seldom_called_unlike(training):
    lines = [said(training, [0, 1, 1] * 7, seed) for seed in range(40)]
    assert sum(line.startswith("UNLIKE") for line in lines) <= 3


def test_ranks_are_among_validation_images_of_the_class():
    validation = drift.Distances(np.array([0.1, 0.2, 0.5, 0.9]), np.array(["a", "a", "b", "a"]))
    asked = drift.Distances(np.array([0.2, 0.4, 1.0, 0.6]), np.array(["a", "b", "a", "c"]))
    assert drift.ranks(asked, validation) == pytest.approx([0.5, 0.0, 1.0, 0.75])


def test_distances_are_to_the_tenth_neighbour_or_as_many_as_the_smallest_class_has():
    known = arrays.directions(np.array([[1, 0], [0, 1], [1, 1], [1, 9]], "float32"))
    rows = pd.DataFrame({"label": ["x", "y", "x", "y"]})
    training = TrainingImages(rows, known, known, None, None)
    found = drift.distances(training, np.array([[1, 0]], "float32"))
    assert found.values == pytest.approx([1 - 0.5**0.5])
    assert found.labels.tolist() == ["x"]
    many = arrays.directions(np.array([[1, 0.1 * step] for step in range(15)], "float32"))
    rows = pd.DataFrame({"label": ["x"] * 15})
    found = drift.distances(TrainingImages(rows, many, many, None, None), many[:1])
    assert found.values == pytest.approx(1 - many[9] @ many[0], abs=1e-6)


def test_nothing_valid_is_said_so(training):
    assert drift.Comparison(training).line().startswith("no valid image to compare")
