import json

import numpy as np
import pandas as pd
import pytest

from tests.conftest import run_stage, set_params
from thaw.evaluation import baseline, metrics
from thaw.evaluation.run_result import RunResult
from thaw.models import classifier, heads

CLASSES = ["blue sky", "green", "red"]


def test_scores_are_those_of_the_predictions(finished_run):
    table = pd.read_csv(finished_run / "data/predictions.csv")
    split = pd.read_csv(finished_run / "data/split.csv")
    test = split[split["split"] == "test"]
    assert table["path"].tolist() == test["path"].tolist()
    assert table["label"].tolist() == test["label"].tolist()
    probabilities = table[[f"p({name})" for name in CLASSES]].to_numpy()
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert table["fine_tuned"].tolist() == [CLASSES[best] for best in probabilities.argmax(axis=1)]

    scores = json.loads((finished_run / "metrics/test.json").read_text())
    assert set(scores) == {"baseline", "head", "fine_tuned", "gain", "refused", "sets"}
    assert scores["sets"] == {"asked": 0.95, "coverage": 1.0, "mean_size": 3.0}  # of 16 images
    truth = np.array([CLASSES.index(label) for label in table["label"]])
    rounded = probabilities / probabilities.sum(axis=1, keepdims=True)
    for name, value in metrics.proper_scores(truth, rounded).items():
        assert scores["fine_tuned"][name] == pytest.approx(value, abs=2e-4)
        assert scores["fine_tuned"]["uncalibrated"][name] >= 0
    assert scores["fine_tuned"]["uncalibrated"] != scores["head"]["uncalibrated"]
    assert scores["refused"]["unsure"] == 0
    for model in ("head", "fine_tuned"):
        accuracy = (table[model] == table["label"]).mean()
        assert scores[model]["accuracy"] == pytest.approx(accuracy, abs=1e-4)
        assert scores[model]["accuracy_low"] < accuracy <= scores[model]["accuracy_high"]
    assert set(scores["baseline"]) == {"neighbours", "ridge"}
    run, features = RunResult(finished_run), np.load(finished_run / "data/features/avg.npy")
    for name, each in baseline.predict(features, run.truth, run.train, run.test).items():
        found, accuracy = scores["baseline"][name], (each == run.truth[run.test]).mean()
        assert found["accuracy"] == pytest.approx(accuracy, abs=1e-4)
        assert found["accuracy_low"] < found["accuracy"] <= found["accuracy_high"]
    gain = scores["fine_tuned"]["accuracy"] - scores["head"]["accuracy"]
    assert scores["gain"]["accuracy"] == pytest.approx(gain, abs=2e-4)
    headline = json.loads((finished_run / "metrics/scores.json").read_text())
    assert headline.pop("images") == split["split"].value_counts().to_dict()
    assert headline == {
        "head_test_acc": scores["head"]["accuracy"],
        "test_acc": scores["fine_tuned"]["accuracy"],
        "gain": scores["gain"]["accuracy"],
        "ece": scores["fine_tuned"]["ece"],
    }
    confusion = pd.read_csv(finished_run / "metrics/evaluate/confusion.csv")
    pairs = sorted(zip(table["label"], table["fine_tuned"]))
    assert list(confusion.itertuples(index=False, name=None)) == pairs
    reliability = pd.read_csv(finished_run / "metrics/evaluate/reliability.csv")
    assert reliability["images"].sum() == len(confusion)
    correct = (reliability["accuracy"] * reliability["images"]).sum()
    assert round(correct) == (confusion["actual"] == confusion["predicted"]).sum()
    assert len(pd.read_csv(finished_run / "metrics/evaluate/roc.csv")) == 101
    recall = pd.read_csv(finished_run / "metrics/evaluate/recall.csv")
    assert recall["class"].tolist() == CLASSES
    assert recall["images"].sum() == len(table)
    slices = pd.read_csv(finished_run / "metrics/evaluate/slices.csv")
    bright = slices[slices["by"] == "brightness"]  # a quarter of 21 images is too small
    assert set(slices["by"]) <= {"size", "shape", "brightness", "format", "mode", "folder", "group"}
    assert bright["images"].between(10, len(table) - 10).all()
    for model in ("head", "fine_tuned"):
        assert recall[model].between(recall[f"{model}_low"], recall[f"{model}_high"]).all()


FILES = {
    "calibrate": "models/calibration/validation_logits.npy",
    "evaluate": "data/predictions.csv",
}


@pytest.mark.parametrize("stage", [pytest.param("calibrate", marks=pytest.mark.slow), "evaluate"])
def test_the_batch_size_changes_no_byte(after_run, stage):
    found = []
    for batch_size in (2, 7, 32):
        set_params(after_run / "params.yaml", {"runtime": {"batch_size": batch_size}})
        run_stage(stage)
        found.append((after_run / FILES[stage]).read_bytes())
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
def test_what_fine_tune_left_in_the_store_gives_the_same_bytes_without_keras(
    after_run, monkeypatch
):
    before = [(after_run / file).read_bytes() for file in FILES.values()]
    set_params(after_run / "params.yaml", {"runtime": {"store": str(after_run / "store")}})
    run_stage("fine_tune")
    monkeypatch.setattr(classifier, "load", None)
    monkeypatch.setattr(heads, "load", None)
    for stage in FILES:
        run_stage(stage)
    assert [(after_run / file).read_bytes() for file in FILES.values()] == before
