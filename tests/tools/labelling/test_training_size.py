import numpy as np
import pytest
from sklearn.metrics import f1_score

from tools.labelling import training_size
from tools.labelling.training_size import Measured, PowerLaw

FRACTIONS = np.array([0.05, 0.1, 0.2, 0.4, 0.7, 1.0])
LAW = PowerLaw(floor=0.05, factor=2.0, exponent=0.5)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(training_size, "RESAMPLES", 30)


def measured(
    law: PowerLaw = LAW, needy: float = 0.0, draws: int = 3, count: int = 3001
) -> Measured:
    """Three classes, whose accuracy follows a law; the last one is worse where images are few."""
    random, truth = np.random.default_rng(0), np.arange(count) % 3
    of_class = np.outer(FRACTIONS, [300, 600, 900]).astype(int)
    images = of_class.sum(axis=1)
    predicted = np.empty((len(images), draws, count), int)
    for part, draw in np.ndindex(*predicted.shape[:2]):
        skill = law.accuracy(images[part]) - needy * (truth == 2) * (1 - FRACTIONS[part])
        wrong = (truth + 1) % 2 if needy else (truth + 1) % 3
        predicted[part, draw] = np.where(random.random(count) < skill, truth, wrong)
    return Measured(images, of_class, truth, predicted)


def test_the_law_is_found_again():
    images = np.array([1, 100, 400])
    assert LAW.accuracy(images) == pytest.approx([1 - 0.05 - 2, 0.75, 0.85])
    found = training_size.fit(measured())
    for count in (90, 1800, 3600):
        assert found.accuracy(count) == pytest.approx(LAW.accuracy(count), abs=0.015)


def test_twice_the_images_bring_what_the_law_says_within_bounds():
    found = training_size.forecast(measured())
    gain = LAW.accuracy(3600) - LAW.accuracy(1800)
    assert found.low < gain < found.high
    assert found.low < found.gain < found.high
    assert found.high - found.low < 0.03
    assert len(found.laws) == 30
    assert training_size.forecast(measured()).low == found.low


def test_where_all_is_right_nothing_is_gained():
    data = measured()
    right = data._replace(predicted=np.broadcast_to(data.truth, data.predicted.shape))
    assert right.accuracy.min() == 1
    found = training_size.forecast(right)
    assert (found.gain, found.high) == pytest.approx((0, 0), abs=1e-6)
    assert (training_size.by_class(right)["low"] <= 1e-9).all()


def test_f1_is_that_of_scikit_learn():
    data = measured(draws=2)
    each = [f1_score(data.truth, data.predicted[1, draw], average=None) for draw in range(2)]
    assert training_size.f1(data).shape == (6, 3)
    assert training_size.f1(data)[1] == pytest.approx(np.mean(each, axis=0))


def test_the_class_that_grows_most_comes_first():
    table = training_size.by_class(measured(needy=0.4))
    assert table["class"][0] == 2
    assert table["images"][0] == 900
    assert table["gain"].is_monotonic_decreasing
    assert table["low"][0] > 0
    assert ((table["low"] < table["gain"]) & (table["gain"] < table["high"])).all()
