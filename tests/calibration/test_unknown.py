import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from thaw.calibration import unknown
from thaw.calibration.unknown import NEIGHBOURS


def near(axis: int, count: int, seed: int, width: float = 0.15) -> np.ndarray:
    """Return features float32 (count, 23) around an axis."""
    noise = np.random.default_rng(seed).normal(0, width, (count, 23))
    return (np.eye(23)[axis] + noise).astype("float32")


def answers(sure: float, count: int, seed: int) -> np.ndarray:
    """Return probabilities (count, 3) that are about so sure of a class."""
    logits = np.random.default_rng(seed).normal(0, 0.5, (count, 3))
    logits[:, 0] += sure
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def fitted():
    return unknown.fit(near(0, 301, 1), near(0, 99, 2), answers(6, 99, 3), 0.95)


def test_what_is_far_and_what_is_near_but_unclear_is_unknown(fitted):
    known = fitted.score(near(0, 401, 4), answers(6, 401, 5))
    far = fitted.score(near(7, 57, 6), answers(6, 57, 7))  # and sure of a class
    unclear = fitted.score(near(0, 57, 8), answers(1, 57, 9))
    for other in (far, unclear):
        truth = [0] * len(known) + [1] * len(other)
        assert roc_auc_score(truth, np.concatenate([known, other])) > 0.95
    assert fitted.is_unknown(known).mean() == pytest.approx(0.05, abs=0.04)
    assert fitted.is_unknown(far).all()


def test_the_score_is_the_larger_sum_of_standardized_terms(fitted):
    features, probabilities = near(0, 11, 11, 0.3), answers(3, 11, 12)
    found = unknown.terms(features, probabilities, fitted.references, fitted.spacing)
    z = {name: (found[name] - mean) / std for name, (mean, std) in fitted.standards.items()}
    expected = np.maximum(2 * z["far"], z["near"] - z["evidence"])
    assert fitted.score(features, probabilities) == pytest.approx(expected)
    of_validation = unknown.terms(near(0, 99, 2), answers(6, 99, 3), *fitted[:2])
    for name, each in of_validation.items():
        assert (each.mean(), each.std()) == pytest.approx(fitted.standards[name])


def test_terms_by_hand():
    angles = np.radians([0, 10, 20, 30, 40, 50])
    references = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float16")
    spacing = np.full(6, 0.1, "float32")
    asked = 3.0 * np.array([[np.cos(np.radians(-5)), np.sin(np.radians(-5))]])
    found = unknown.terms(asked, np.array([[0.7, 0.2, 0.1]]), references, spacing)
    assert NEIGHBOURS == 5
    assert found["far"] == pytest.approx(2 * np.sin(np.radians(45) / 2), abs=1e-3)
    assert found["near"] == pytest.approx(2 * np.sin(np.radians(5) / 2) / 0.1, abs=1e-2)
    logs = np.log([0.7, 0.2, 0.1])
    assert found["evidence"] == pytest.approx(logs.max() - logs.mean())


def test_spacing_is_the_distance_to_the_fifth_other_and_never_0():
    found = unknown.fit(np.eye(7, dtype="float32"), near(0, 9, 1)[:, :7], answers(2, 9, 1), None)
    assert found.spacing == pytest.approx(np.sqrt(2), abs=1e-3)
    copies = np.ones((7, 3), "float32")
    spacing = unknown.fit(copies, near(0, 9, 1)[:, :3], answers(2, 9, 1), None).spacing
    assert (spacing > 0).all()
    assert spacing.dtype == "float32"


def test_without_a_threshold_nothing_is_unknown(fitted):
    assert not fitted._replace(threshold=None).is_unknown(np.array([1e9])).any()


def test_few_images_and_many():
    one = unknown.fit(near(0, 1, 1), near(0, 2, 2), answers(2, 2, 3), 0.95)
    assert np.isfinite(one.score(near(0, 3, 4), answers(2, 3, 5))).all()
    rows = np.arange(10, 10_013)
    chosen = unknown.some(rows)
    assert len(np.unique(chosen)) == unknown.MOST
    assert (chosen[0], chosen[-1]) == (10, 10_012)
    assert unknown.some(rows[:17]).tolist() == rows[:17].tolist()


def test_too_few_images_give_no_threshold():
    images = near(0, 18, 1), answers(2, 18, 1)
    assert unknown.fit(near(0, 40, 3), *images, 0.95).threshold is None
    assert unknown.fit(near(0, 40, 3), *images, 0.9).threshold is not None
