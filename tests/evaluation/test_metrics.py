import numpy as np
import pandas as pd
import pytest

from thaw.evaluation import metrics
from thaw.project import files
from thaw.project.errors import UserError

THREE = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 9.0], [1.0, 0.0, 0.0]])


def test_to_probabilities():
    two = metrics.to_probabilities(np.array([[0.0], [800.0], [-800.0]], "float32"))
    assert two.tolist() == [[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]]
    three = metrics.to_probabilities(THREE)
    assert three.sum(axis=1) == pytest.approx(1)
    assert three[0] == pytest.approx(np.exp([2, 1, 0]) / np.exp([2, 1, 0]).sum())


def test_score_of_three_classes():
    truth = np.array([0, 1, 2, 1])
    got = metrics.score(truth, metrics.to_probabilities(THREE), 0.95)
    assert got["accuracy"] == 0.75
    # Wilson's interval of 3 in 4, by hand: (p + z2/2n -+ z sqrt(p(1-p)/n + z2/4n2)) / (1 + z2/n)
    assert (got["accuracy_low"], got["accuracy_high"]) == (0.3006, 0.9544)
    assert got["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3, abs=1e-4)
    probabilities = metrics.to_probabilities(THREE)[np.arange(4), truth]
    assert got["loss"] == pytest.approx(-np.log(probabilities).mean(), abs=1e-4)
    assert 0.5 < got["roc_auc"] <= 1
    assert {name: got[name] for name in ("loss", "brier", "ece")} == metrics.proper_scores(
        truth, metrics.to_probabilities(THREE)
    )
    wider = metrics.score(truth, metrics.to_probabilities(THREE), 0.99)
    assert wider["accuracy_low"] < got["accuracy_low"]


def test_the_summary_begins_with_the_baseline_where_there_is_one():
    truth = np.array([0, 1, 2, 1])
    table = metrics.compare(truth, *[metrics.to_probabilities(THREE)] * 2, 0.95)
    assert "ridge" not in metrics.summary(table)
    baseline = {"ridge": metrics.accuracy(truth, np.array([0, 1, 0, 0]), 0.95)}
    assert baseline["ridge"] == {"accuracy": 0.5, "accuracy_low": 0.15, "accuracy_high": 0.85}
    lines = metrics.summary(table | {"baseline": baseline}).splitlines()
    assert lines[1] == "ridge        0.5000 (0.1500 to 0.8500)   without training"
    assert lines[2].startswith("head ")


def test_score_of_two_classes():
    probabilities = metrics.to_probabilities(np.array([[-2.0], [-1.0], [1.0], [0.5], [2.0]]))
    got = metrics.score(np.array([0, 1, 1, 0, 1]), probabilities, 0.95)
    assert got["accuracy"] == 0.6
    assert got["roc_auc"] == pytest.approx(5 / 6, abs=1e-4)  # 5 of the 6 pairs are in order


def test_proper_scores_by_hand():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
    assert metrics.proper_scores(np.array([0, 2]), probabilities) == {
        "loss": 1.3296,  # -(ln 0.7 + ln 0.1) / 2
        "brier": 0.7,  # (0.09 + 0.04 + 0.01 + 0.09 + 0.36 + 0.81) / 2
        "ece": 0.45,  # (|0.7 - 1| + |0.6 - 0|) / 2
    }


def test_gain_is_mcnemars_exact_test():
    truth = np.zeros(20, int)
    before, after = np.zeros(20, int), np.zeros(20, int)
    before[:8], after[7:9] = 1, 1  # seven fixed, one regressed, one wrong in both
    got = metrics.gain(truth, before, after)
    assert got == {"accuracy": 0.3, "fixed": 7, "regressed": 1, "p_value": 0.07031}  # 2 * 9 / 2**8
    assert metrics.gain(truth, before, before)["p_value"] == 1.0


def test_confusion_is_sorted_pairs():
    truth, predicted = np.array([2, 0, 0, 2, 1]), np.array([2, 0, 0, 2, 0])
    pairs = metrics.confusion(truth, predicted, ["a", "b", "c"])
    assert pairs.to_numpy().tolist() == [list(p) for p in ("aa", "aa", "ba", "cc", "cc")]


def test_the_headline_is_short_and_counts_each_split():
    """`dvc metrics diff` and `dvc exp show` have a row or a column for each number."""
    truth = np.array([0, 1, 2, 1])
    poor, good = metrics.to_probabilities(-THREE), metrics.to_probabilities(THREE)
    table = metrics.compare(truth, poor, good, 0.95)
    split = pd.Series(["train", "test", "excluded", "train", "validation", "train"])
    assert metrics.headline(table, split) == {
        "head_test_acc": table["head"]["accuracy"],
        "test_acc": 0.75,
        "gain": round(0.75 - table["head"]["accuracy"], 4),
        "ece": table["fine_tuned"]["ece"],
        "images": {"train": 3, "validation": 1, "test": 1},
    }


def test_summary_names_both_models_and_the_gain():
    truth = np.array([0, 1, 2, 1])
    probabilities = metrics.to_probabilities(THREE)
    table = metrics.compare(truth, probabilities, probabilities, 0.95)
    lines = metrics.summary(dict(sorted(table.items()))).splitlines()
    assert [line.split()[0] for line in lines] == ["test", "head", "fine_tuned", "gain"]
    assert "0.7500 (0.3006 to 0.9544)" in lines[1]
    assert lines[3].split()[1:3] == ["+0.0000", "+0.0000"]
    assert lines[3].endswith("  0 fixed, 0 regressed, p = 1")
    starts = [lines[0].index("loss"), *(line.index(line.split()[5]) for line in lines[1:3])]
    assert len(set(starts)) == 1  # columns stand below one another


def test_roc_by_hand_and_its_area_is_the_score():
    truth = np.array([0, 0, 1, 1])
    second = np.array([0.1, 0.6, 0.4, 0.9])
    probabilities = np.stack([1 - second, second], axis=1)
    curve = metrics.roc(truth, probabilities)
    assert len(curve) == 101
    assert curve.iloc[0].tolist() == [0.0, 0.0]
    assert curve.iloc[-1].tolist() == [1.0, 1.0]
    rates = curve.set_index("false_positive_rate")["true_positive_rate"]
    assert (rates[0.25], rates[0.75]) == (0.5, 1.0)  # 3 of 4 pairs are in order
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 500)
    probabilities = metrics.to_probabilities(random.normal(0, 1, (500, 3)) + 1.5 * np.eye(3)[truth])
    curve = metrics.roc(truth, probabilities)
    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
    assert area == pytest.approx(metrics.score(truth, probabilities, 0.95)["roc_auc"], abs=0.01)
    assert curve["true_positive_rate"].is_monotonic_increasing


def test_reliability_by_hand():
    truth = np.array([0, 1, 1, 0, 1])
    first = np.array([0.95, 0.05, 0.92, 0.62, 0.0])  # the third is wrong, at 0.92
    probabilities = np.stack([first, 1 - first], axis=1)
    assert metrics.reliability(truth, probabilities)["images"].tolist() == [1, 1, 3]  # of fifteen
    got = metrics.reliability(truth, probabilities, bins=10)
    assert got.to_dict("records") == [
        {"confidence": 0.62, "accuracy": 1.0, "images": 1},
        {"confidence": 0.955, "accuracy": 0.75, "images": 4},
    ]


def test_calibration_error_by_hand():
    table = pd.DataFrame({"confidence": [0.55, 0.9], "accuracy": [0.75, 0.8], "images": [4, 12]})
    assert metrics.calibration_error(table) == pytest.approx((4 * 0.2 + 12 * 0.1) / 16)
    assert metrics.calibration_error(table.assign(accuracy=table["confidence"])) == 0


def test_predictions_are_read_as_they_were_written(tmp_path):
    classes = ["NA", "a, b", "p(x)"]
    rows = pd.DataFrame({"path": ["NA/1.jpg", "p(x)/ü.jpg"], "label": ["NA", "p(x)"]})
    probabilities = metrics.to_probabilities(THREE[:2])
    predicted = {name: probabilities.argmax(axis=1) for name in ("head", "fine_tuned")}
    file = tmp_path / "predictions.csv"
    files.write_csv(file, metrics.predictions(rows, predicted, probabilities, classes))
    found = metrics.read_predictions(file, rows, classes)
    assert found == pytest.approx(probabilities, abs=1e-6)
    assert found.dtype == "float64"
    for others, names in ((rows[::-1], classes), (rows[:1], classes), (rows, classes[:2])):
        with pytest.raises(UserError, match="not of this split") as error:
            metrics.read_predictions(file, others, names)
        assert error.value.hint == "run `dvc repro evaluate`"
    with pytest.raises(UserError, match="missing"):
        metrics.read_predictions(tmp_path / "none.csv", rows, classes)
