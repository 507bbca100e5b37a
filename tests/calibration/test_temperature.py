import numpy as np
import pytest

from thaw.calibration import temperature
from thaw.evaluation.metrics import to_probabilities


def drawn(classes: int, count: int = 4001) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (n, k), and classes that are drawn by their probabilities."""
    random = np.random.default_rng(classes)
    logits = random.normal(0, 2, (count, classes))
    sums = to_probabilities(logits if classes > 2 else logits[:, 1:] - logits[:, :1]).cumsum(axis=1)
    return logits, (random.random((count, 1)) > sums).sum(axis=1)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("wanted", [0.4, 1.0, 2.5])
def test_the_temperature_of_logits_is_found(classes, wanted):
    logits, truth = drawn(classes)
    logits *= wanted
    given = logits if classes > 2 else logits[:, 1:] - logits[:, :1]
    assert temperature.fit(truth, to_probabilities(given)) == pytest.approx(wanted, rel=0.1)


def test_probabilities_at_a_temperature_are_those_of_divided_logits():
    logits = np.array([[2.0, 1.0, -1.0], [0.0, 3.0, 0.5]])
    got = temperature.apply(to_probabilities(logits), 2.5)
    assert got == pytest.approx(to_probabilities(logits / 2.5))
    two = np.array([[1.5], [-4.0]])
    got = temperature.apply(to_probabilities(two).astype("float32"), 0.5)
    assert got == pytest.approx(to_probabilities(two / 0.5))
    assert got.dtype == "float64"
    assert temperature.apply(to_probabilities(logits), 1.0) == pytest.approx(
        to_probabilities(logits)
    )


def test_no_class_changes_and_nothing_is_divided_by_nothing():
    random = np.random.default_rng(3)
    probabilities = to_probabilities(random.normal(0, 300, (51, 5)))  # many are 0
    for value in (0.05, 0.7, 20.0):
        got = temperature.apply(probabilities, value)
        assert got.sum(axis=1) == pytest.approx(1)
        assert got.argmax(axis=1).tolist() == probabilities.argmax(axis=1).tolist()


def test_a_few_correct_images_make_nothing_sure():
    """Without the one image more the best temperature would be 0."""
    truth = np.arange(11) % 3
    probabilities = to_probabilities(2.0 * np.eye(3)[truth])
    sure = temperature.apply(probabilities, temperature.fit(truth, probabilities)).max()
    assert sure == pytest.approx((11 + probabilities.max()) / 12, abs=1e-3)
