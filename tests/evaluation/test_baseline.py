import numpy as np
import pytest

from thaw.evaluation import baseline

ROWS = np.arange(90)


@pytest.fixture
def drawn():
    """Features float32 (90, 11) of three classes, and these: apart by direction, not by length."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 3, 90)
    directions = np.eye(3, 11)[classes] + random.normal(0, 0.15, (90, 11))
    return (directions * random.uniform(1, 40, (90, 1))).astype("float32"), classes


def test_both_probes_tell_the_classes_apart_from_a_few_images_of_each(drawn):
    features, classes = drawn
    found = baseline.predict(features, classes, ROWS[:41], ROWS[41:])
    assert [*found] == ["neighbours", "ridge"]
    for predicted in found.values():
        assert predicted.shape == (49,)
        assert (predicted == classes[41:]).mean() > 0.85
    again = baseline.predict(features, classes, ROWS[:41], ROWS[41:])
    assert all(np.array_equal(again[name], found[name]) for name in found)


def test_one_image_of_each_class_is_enough(drawn):
    features, classes = drawn
    first = np.array([np.flatnonzero(classes == label)[0] for label in range(3)])
    for predicted in baseline.predict(features, classes, first, first).values():
        assert predicted.tolist() == [0, 1, 2]


def test_a_nearer_neighbour_counts_more():
    """Of 20 the one that is the same outvotes 19 that are at right angles to it."""
    features = np.repeat([[1.0, 0.0], [0.0, 1.0]], [2, 19], axis=0)
    classes = np.repeat([0, 1], [2, 19])
    found = baseline.predict(features, classes, np.arange(1, 21), np.array([0]))
    assert found["neighbours"].tolist() == [0]


def ridge(x: np.ndarray, y: np.ndarray, asked: np.ndarray, strength: float) -> np.ndarray:
    """The closed form; the mean is left free."""
    middle, level = x.mean(axis=0), y.mean(axis=0)
    inner = (x - middle).T @ (x - middle) + strength * np.eye(x.shape[1])
    return (asked - middle) @ np.linalg.solve(inner, (x - middle).T @ (y - level)) + level


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_the_ridge_probe_is_the_closed_form_of_the_best_strength(drawn, noise):
    features, classes = drawn
    features = features + noise * np.random.default_rng(1).normal(0, 20, features.shape)
    found = baseline.predict(features, classes, ROWS[:41], ROWS[41:])["ridge"]
    x = features / np.linalg.norm(features, axis=1, keepdims=True)
    known, y = x[:41], 2.0 * np.eye(3)[classes[:41]] - 1
    errors = {}
    for strength in baseline.STRENGTHS:
        left_out = [
            ridge(np.delete(known, row, 0), np.delete(y, row, 0), known[row], strength)
            for row in range(41)
        ]
        errors[strength] = ((np.array(left_out) - y) ** 2).mean()
    best = min(errors, key=errors.get)
    assert best == (1 if noise else 0.3), errors
    expected = ridge(known, y, x[41:], best).argmax(axis=1)
    assert found.tolist() == expected.tolist()


def test_of_many_images_as_many_of_each_class_are_used(drawn, monkeypatch):
    features, classes = drawn
    monkeypatch.setattr(baseline, "MOST", 9)
    few = np.sort(np.concatenate([np.flatnonzero(classes == label)[:3] for label in range(3)]))
    expected = baseline.predict(features, classes, few, ROWS)
    found = baseline.predict(features, classes, ROWS, ROWS)
    assert {name: each.tolist() for name, each in found.items()} == {
        name: each.tolist() for name, each in expected.items()
    }


class Counted:
    """Features that note how many rows were taken at once."""

    def __init__(self, features: np.ndarray):
        self.features, self.taken = features, []

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.taken.append(len(rows))
        return self.features[rows]


def test_of_many_images_few_are_in_memory_at_a_time(drawn, monkeypatch):
    features, classes = drawn
    whole = baseline.predict(features, classes, ROWS[:19], ROWS[19:])
    monkeypatch.setattr(baseline, "MOST", 19)
    counted = Counted(features)
    found = baseline.predict(counted, classes, ROWS[:19], ROWS[19:])
    assert counted.taken == [19, 19, 19, 19, 14]
    assert all(np.array_equal(found[name], whole[name]) for name in whole)
