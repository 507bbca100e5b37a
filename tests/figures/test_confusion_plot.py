from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from thaw.figures import confusion_plot, style
from thaw.figures.style import class_names


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def ticks(axis) -> list[str]:
    return [text.get_text() for text in axis.get_yticklabels()]


def test_the_matrix_has_actual_classes_in_rows():
    truth, predicted = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 2, 1, 2])
    figure = confusion_plot.draw(truth, predicted, ["a", "b", "a class with a very long name"])
    axis = figure.axes[0]
    numbers = {text.get_position(): text.get_text() for text in axis.texts}
    assert numbers == {(0, 0): "2", (2, 0): "1", (1, 1): "1", (2, 2): "1"}
    assert axis.get_title() == "4 of 5 correct"
    assert ticks(axis)[2] == "a class…ng name"
    assert axis.get_xticklabels()[0].get_rotation() == 45  # so that names do not overlap
    figure = confusion_plot.draw(truth, predicted, ["a", "b", "cats"])
    assert figure.axes[0].get_xticklabels()[0].get_rotation() == 0


def test_many_classes_are_the_worst_the_most_frequent_and_what_they_are_taken_for():
    """Class 7 has two of four right, 11 has two of three; 20 and 21 have the most images."""
    truth = np.concatenate([np.arange(93) % 31, [7, 20, 20, 21]])
    predicted = truth.copy()
    predicted[[7, 38]], predicted[11] = 4, 12
    names = class_names([f"number {label:02}" for label in range(31)])
    recalls, beside = confusion_plot.draw(truth, predicted, names).axes
    assert ticks(recalls)[:4] == ["number 07", "number 11", "number 20", "number 21"]
    assert [text.get_text() for text in recalls.texts][:4] == [
        "2 of 4",
        "2 of 3",
        "5 of 5",
        "4 of 4",
    ]
    assert len(ticks(recalls)) == 30
    assert "15 worst classes" in recalls.get_title()
    assert ticks(beside) == ["number 07 →\nnumber 04", "number 11 →\nnumber 12"]
    assert [text.get_text() for text in beside.texts] == ["2", "1"]
    beside = confusion_plot.draw(truth, truth, names).axes[1]
    assert beside.get_title() == "none misclassified"


@pytest.mark.parametrize("classes", [2, 10, 25, 60, 1000])
def test_no_name_runs_out_of_the_figure_or_into_another(classes, tmp_path):
    random = np.random.default_rng(classes)
    truth = random.integers(0, classes, 4 * classes)
    predicted = random.integers(0, classes, 4 * classes)
    names = class_names([f"species {label:04} with W{'W' * 90}" for label in range(classes)])
    figure = confusion_plot.draw(truth, predicted, names)
    figure.set_dpi(style.INCH)
    figure.canvas.draw()
    for axis in figure.axes:
        for labels, end in ((axis.get_yticklabels(), "y"), (axis.get_xticklabels(), "x")):
            boxes = [text.get_window_extent() for text in labels if text.get_text()]
            assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes)
            if end == "y":
                boxes.sort(key=lambda box: box.y0)
                assert all(one.y1 <= other.y0 + 2 for one, other in pairwise(boxes))
        assert len(set(ticks(axis))) == len(ticks(axis)) > 0
    style.save(figure, tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as image:
        assert max(image.size) <= 1080
