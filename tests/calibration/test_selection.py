import numpy as np
import pytest

from thaw.calibration import selection
from thaw.project.errors import UserError


def answers(confidence: list[float], correct: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Return classes int (n,) and probabilities (n, 2) that are so sure of class 0."""
    sure = np.array(confidence)
    return np.where(correct, 0, 1), np.stack([sure, 1 - sure], axis=1)


def test_risk_by_coverage_by_hand():
    given = answers([0.6, 0.9, 0.8, 0.9, 0.7], [False, True, True, True, False])
    table = selection.risk_coverage(*given)
    assert table["confidence"].tolist() == [0.9, 0.8, 0.7, 0.6]  # images of 0.9 go together
    assert table["coverage"].tolist() == [0.4, 0.6, 0.8, 1.0]
    assert table["risk"].tolist() == pytest.approx([0.0, 0.0, 0.25, 0.4])


def test_the_threshold_is_the_lowest_that_reaches_the_target_with_one_more_error():
    confidence = np.linspace(0.99, 0.55, 23).tolist()
    given = answers(confidence, [True] * 19 + [False] * 4)
    assert selection.threshold(*given, 0.95) == pytest.approx(confidence[18])  # 19 of 20
    assert selection.threshold(*given, 0.90) == pytest.approx(confidence[19])  # 19 of 21
    assert selection.threshold(*given, 0.5) == pytest.approx(confidence[-1])  # all of them


@pytest.mark.parametrize(
    ("count", "correct", "message"),
    [
        (17, True, "0.99 takes at least 99 validation images; there are 17"),
        (98, True, "0.99 takes at least 99 validation images; there are 98"),
        (99, False, "0.99 is reached by no confidence on 99 validation images"),
    ],
)
def test_a_target_out_of_reach_says_why(count, correct, message):
    given = answers([0.9] * count, [correct] * count)
    with pytest.raises(UserError, match=message) as error:
        selection.threshold(*given, 0.99)
    assert error.value.key == "calibrate.target_accuracy"
    selection.threshold(*answers([0.9] * 99, [True] * 99), 0.99)


def test_the_target_is_held_on_other_images():
    random = np.random.default_rng(5)
    reached = []
    for _ in range(200):
        sure = random.uniform(0.5, 1.0, 700)
        correct = random.random(700) < sure
        chosen = selection.threshold(*answers(sure[:350], correct[:350]), 0.9)
        reached.append(correct[350:][sure[350:] >= chosen].mean())
    assert np.mean(reached) == pytest.approx(0.9, abs=0.01)
