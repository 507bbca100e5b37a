import math

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binom

from thaw.calibration import sets


def draw(count: int, seed: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Return classes and probabilities of images, by synthetic logits."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 7, count)
    return truth, softmax(random.normal(3 * np.eye(7)[truth], spread), axis=1)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95, 0.99])
def test_the_right_class_is_in_it_as_often_as_asked(coverage):
    limit = sets.limit(*draw(4001, 0, 2.0), coverage)
    truth, probabilities = draw(20_001, 1, 2.0)
    found = sets.reached(truth, probabilities, limit)
    low, high = binom.interval(0.999, 4001, coverage)  # the limit varies with 4001 images
    assert low / 4001 < found["coverage"] < high / 4001
    assert 1 < found["mean_size"] < 7


def test_a_classifier_that_is_right_more_often_names_one_class():
    truth, probabilities = draw(501, 0, 0.5)
    limit = sets.limit(truth, probabilities, 0.9)
    assert sets.reached(truth, probabilities, limit)["mean_size"] == pytest.approx(1, abs=0.01)


def test_the_likeliest_classes_are_in_it():
    probabilities = np.array([[0.1, 0.6, 0.25, 0.05]])
    assert sets.scores(probabilities)[0] == pytest.approx([0.85, 0, 0.6, 0.95])
    for limit, expected in ((0.0, "0100"), (0.59, "0100"), (0.61, "0110"), (0.9, "1110")):
        inside = sets.members(probabilities, limit)[0]
        assert "".join(str(int(each)) for each in inside) == expected


def test_few_images_say_nothing():
    truth, probabilities = draw(18, 0, 1.0)
    assert sets.limit(truth, probabilities, 0.95) == math.inf
    assert sets.limit(*draw(19, 0, 1.0), 0.95) < 1
    assert sets.reached(truth, probabilities, math.inf) == {"coverage": 1.0, "mean_size": 7.0}
