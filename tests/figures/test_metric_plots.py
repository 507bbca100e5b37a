import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from thaw.calibration import selection
from thaw.evaluation import metrics
from thaw.figures import metric_plots, style


def log(epochs: int) -> pd.DataFrame:
    values = np.linspace(1, 0.1, epochs + 1)
    names = ["train/loss", "validation/loss", "train/accuracy", "validation/accuracy"]
    return pd.DataFrame({name: values for name in names})


def predictions(classes: int, skill: float, count: int = 233) -> tuple[np.ndarray, np.ndarray]:
    """Return classes int (n,), and probabilities (n, k) that know them by their skill."""
    random = np.random.default_rng(classes)
    truth = np.arange(count) % classes
    return truth, metrics.to_probabilities(random.normal(skill * np.eye(classes)[truth]))


def test_learning_curves_go_on_where_the_head_stopped():
    figure = metric_plots.learning_curves(log(5), log(3))
    for axis in figure.axes:
        head, tuned = axis.lines[0], axis.lines[1]
        assert (head.get_xdata()[0], head.get_xdata()[-1]) == (0, 5)
        assert (tuned.get_xdata()[0], tuned.get_xdata()[-1]) == (5, 8)
        assert axis.lines[-1].get_xdata() == [5, 5]
        assert "fine-tuning starts" in [text.get_text() for text in axis.texts]


@pytest.mark.parametrize("classes", [2, 3, 11, 61])
def test_roc_has_a_curve_of_each_class_and_their_mean(classes):
    truth, probabilities = predictions(classes, 3.0)
    names = [f"class {label}" for label in range(classes)]
    figure = metric_plots.roc(truth, probabilities, names)
    whole, corner = figure.axes
    shown = [text.get_text() for text in figure.legends[0].texts]
    assert len(shown) == min(classes, metric_plots.CURVES) + 1
    area = roc_auc_score(
        truth, probabilities if classes > 2 else probabilities[:, 1], multi_class="ovr"
    )
    assert shown[-1] == f"mean of {classes}  {area:.3f}"
    mean = whole.lines[-1]
    steps = np.diff(mean.get_xdata()) * mean.get_ydata()[:-1]
    assert steps.sum() == pytest.approx(area, abs=1e-6)
    assert (mean.get_xdata()[0], mean.get_ydata()[0]) == (0, 0)
    assert (corner.get_xlim()[1], corner.get_ylim()[0]) == (0.2, 0.8)
    if classes > metric_plots.CURVES:
        assert whole.get_title().endswith(f"the 8 lowest of {classes}")
        areas = [float(text.split()[-1]) for text in shown[:-1]]
        every = [roc_auc_score(truth == label, probabilities[:, label]) for label in range(classes)]
        assert areas == pytest.approx(sorted(every)[: metric_plots.CURVES], abs=6e-4)


def test_roc_of_a_poor_network_has_no_empty_corner():
    truth, probabilities = predictions(3, 0.1)
    assert len(metric_plots.roc(truth, probabilities, ["a", "b", "c"]).axes) == 1


def test_reliability_shows_accuracies_counts_and_the_error():
    truth = np.array([0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1])
    second = np.array([0.1, 0.9, 0.9, 0.97, 0.9, 0.9, 0.9, 0.9, 0.9, 0.75, 1.0])
    table = metrics.reliability(truth, np.stack([1 - second, second], axis=1), bins=10)
    above, below = metric_plots.reliability(table, bins=10).axes
    sure = (1 * 0.9 + 7 * 0.9 + 0.97 + 1.0) / 10
    error = (1 * 0.75 + 10 * (1 - sure)) / 11
    assert above.get_title() == f"Expected calibration error {error:.3f}"
    assert above.lines[-1].get_ydata().tolist() == [0, 1]
    low, high = above.collections[0].get_segments()[1][:, 1]
    assert 0.6 < low < 0.8 < high == 1
    assert [bar.get_x() + bar.get_width() / 2 for bar in below.patches] == pytest.approx(
        [0.75, 0.95]
    )
    assert [text.get_text() for text in below.texts] == ["1", "10"]


def test_risk_by_coverage_marks_where_images_become_unsure():
    truth, probabilities = predictions(3, 3.0)
    table = selection.risk_coverage(truth, probabilities)
    errors = 100 * (probabilities.argmax(axis=1) != truth).mean()
    [axis] = metric_plots.risk_coverage(table, None).axes
    curve, overall = axis.lines
    assert curve.get_ydata()[-1] == pytest.approx(errors)
    assert curve.get_xdata()[-1] == 100
    assert overall.get_ydata() == pytest.approx([errors, errors])
    [axis] = metric_plots.risk_coverage(table, 0.9).axes
    answered = 100 * (probabilities.max(axis=1) >= 0.9).mean()
    assert axis.lines[-1].get_xdata() == pytest.approx([answered])
    assert len(metric_plots.risk_coverage(table, 1.1).axes[0].lines) == 2  # of no image


@pytest.mark.parametrize("classes", [2, 29])
def test_all_are_drawn_with_odd_names(classes, tmp_path):
    truth, probabilities = predictions(classes, 4.0, 603)
    names = [f"$_{label}^ a very long name of a class\nin lines" for label in range(classes)]
    for name, figure in {
        "roc": metric_plots.roc(truth, probabilities, names),
        "reliability": metric_plots.reliability(metrics.reliability(truth, probabilities)),
        "risk": metric_plots.risk_coverage(selection.risk_coverage(truth, probabilities), 0.9),
    }.items():
        style.save(figure, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert np.asarray(image).std() > 10
            assert max(image.size) < 1700
    assert matplotlib.get_backend().lower() == "agg"
