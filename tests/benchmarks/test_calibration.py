import numpy as np
import pandas as pd
import pytest

from benchmarks import accuracy_tables, calibration
from thaw.evaluation.metrics import to_probabilities
from thaw.training.head_training import HeadData

RANDOM = np.random.default_rng(0)
CLASSES = (np.arange(901) % 3).astype("int32")
DATA = HeadData(
    RANDOM.normal(8 * np.eye(7)[CLASSES], 1).astype("float32"),
    None,
    CLASSES,
    pd.Series(RANDOM.choice(["train", "validation", "test"], 901)),
    ["a", "b", "c"],
)
LOGITS = RANDOM.normal(2 * np.eye(3)[CLASSES], 1)


def test_a_class_is_left_out():
    part = calibration.without(DATA, 1)
    assert part.names == ["a", "c"]
    assert set(part.split[CLASSES == 1]) == {"left out"}
    assert part.split[CLASSES != 1].equals(DATA.split[CLASSES != 1])
    assert part.classes[CLASSES == 2].tolist() == [1] * (CLASSES == 2).sum()
    assert part.classes[CLASSES == 0].max() == 0


def test_calibration_brings_the_error_near_that_of_exact_answers():
    found = calibration.calibration(DATA, to_probabilities(6 * LOGITS))
    assert found["temperature"] == pytest.approx(3, rel=0.2)  # noise and classes are as 2 to 1
    assert found["accuracy"] == found["accuracy_after"]
    assert found["ece_after"] < found["ece"]
    assert found["ece_of_exact_answers"] / 2 < found["ece_after"]
    assert found["ece_after"] < 2 * found["ece_of_exact_answers"]


def test_unknown_images_are_found_and_few_known_ones_refused():
    others = RANDOM.normal(8 * np.eye(7)[np.full(53, 5)], 1).astype("float32")
    given = to_probabilities(LOGITS)
    found = calibration.detection(DATA, given, others, given[:53])
    assert found["auroc"] > 0.99
    assert found["refused_unknown"] > 0.9
    assert found["refused_known"] == pytest.approx(0.05, abs=0.04)


def test_its_tables_have_means_over_the_seeds():
    known = {"auroc": 0.8, "refused_known": 0.05, "refused_unknown": 0.2, "unknown": "b"}
    errors = {"accuracy_after": 0.9, "ece": 0.03, "ece_after": 0.01, "ece_of_exact_answers": 0.02}
    rows = [
        {"seed": seed, "model": model, **found}
        for seed in (1, 2)
        for model, found in (
            ("head, x", {**known, **errors, "ece": 0.02 * seed}),
            ("head, x without b", {**known, "auroc": 0.7 + 0.1 * seed}),
            ("head, x without c", {**known, "auroc": 0.6}),
        )
    ]
    first, second = accuracy_tables.calibration({"results": rows}).split("\n\n")
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in first.splitlines()]
    assert cells[2:] == [["head, x", "2", "0.9000", "0.0300", "0.0100", "0.0200"]]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in second.splitlines()]
    assert [row[2] for row in cells[2:]] == ["0.800", "0.850", "0.600", "0.725"]
    assert cells[-1][0] == "mean without one class"
