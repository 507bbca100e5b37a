import numpy as np
import pytest

from thaw.figures import style
from tools.labelling import training_size, training_size_plot
from tools.labelling.training_size import Measured


@pytest.mark.parametrize("classes", [1, 2, 60])
def test_it_shows_what_was_measured_and_goes_on_to_twice_the_images(classes, tmp_path, monkeypatch):
    monkeypatch.setattr(training_size, "RESAMPLES", 5)
    random, truth = np.random.default_rng(classes), np.arange(241) % classes
    of_class = np.outer([1, 3, 9, 20], np.full(classes, 7))
    skill = np.array([0.3, 0.5, 0.7, 0.8])[:, None, None]
    predicted = np.where(random.random((4, 3, 241)) < skill, truth, (truth + 1) % classes)
    measured = Measured(of_class.sum(axis=1), of_class, truth, predicted)
    table = training_size.by_class(measured)
    names = [f"$class {label}$" for label in range(classes)]
    figure = training_size_plot.draw(measured, training_size.forecast(measured), table, names)
    left, right = figure.axes
    [points] = [line for line in left.lines if line.get_marker() == "o"]
    assert points.get_ydata() == pytest.approx(measured.accuracy.mean(axis=1))
    curve = np.concatenate([line.get_xdata() for line in left.lines if len(line.get_xdata()) > 5])
    assert (curve.min(), curve.max()) == pytest.approx((7 * classes, 2 * 140 * classes))
    shown = [text.get_text() for text in right.get_legend().get_texts()]
    assert shown == [names[label] for label in table["class"][:8]]
    assert ("8 of 60 classes" in right.get_title()) == (classes == 60)
    low, high = left.get_ylim()
    assert (high <= 1.005, high - low >= 0.05) == (True, True)
    style.save(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 3000
