from types import SimpleNamespace

import numpy as np
import pytest

from thaw.evaluation import metrics
from thaw.training.best_epoch import BestEpoch, accuracy, brier

LIVE = SimpleNamespace(step=0, log_metric=lambda name, value: None)


@pytest.mark.parametrize("columns", [1, 3])
def test_the_score_is_that_of_evaluate(columns):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (17, columns)).astype("float32")
    truth = random.integers(0, max(2, columns), 17).astype("int32")
    ours = np.asarray(brier(truth[:, None], logits))
    assert ours.shape == (17,)
    expected = metrics.proper_scores(truth, metrics.to_probabilities(logits))["brier"]
    assert ours.mean() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("columns", [1, 3])
def test_the_accuracy_is_that_of_evaluate_and_whole_shares_are_as_their_classes(columns):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (17, columns)).astype("float32")
    truth = random.integers(0, max(2, columns), 17).astype("int32")
    answers = metrics.to_probabilities(logits).argmax(axis=1)
    assert np.array_equal(accuracy(truth, logits), answers == truth)
    shares = np.eye(3, dtype="float32")[truth] if columns > 1 else truth.astype("float32")
    for score in (accuracy, brier):
        assert np.array_equal(score(shares, logits), score(truth, logits))


def test_of_mixed_labels_the_larger_share_is_right_and_the_distance_is_to_the_shares():
    logits = np.log([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]).astype("float32")
    shares = np.array([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0]], "float32")
    assert np.asarray(accuracy(shares, logits)).tolist() == [1, 0]
    assert np.asarray(brier(shares, logits)) == pytest.approx([0.06, 0.14], abs=1e-5)
    two = np.array([0.6, 0.4], "float32"), np.array([[1.0], [1.0]], "float32")
    assert np.asarray(accuracy(*two)).tolist() == [1, 0]
    chance = 1 / (1 + np.exp(-1.0))
    expected = [2 * (chance - 0.6) ** 2, 2 * (chance - 0.4) ** 2]
    assert np.asarray(brier(*two)) == pytest.approx(expected, abs=1e-5)


def test_an_epoch_that_is_right_more_often_is_better_though_it_is_too_sure():
    best = BestEpoch(LIVE, SimpleNamespace(epochs=5, patience=2))
    weights = iter("abcde")
    best.set_model(SimpleNamespace(get_weights=lambda: next(weights)))
    ended = []
    for loss, score in [(0.5, 0.3), (0.3, 0.2), (0.4, 0.1), (0.3, 0.11), (0.2, 0.1)]:
        best.on_epoch_end(0, {"val_loss": loss, "val_brier": score, "val_accuracy": 0.75})
        ended.append(best.model.stop_training)
    assert best.scores == {"epoch": 2, "accuracy": 0.75, "brier": 0.1, "loss": 0.4}
    assert best.weights == "c"
    assert ended == [False, False, False, False, True]
