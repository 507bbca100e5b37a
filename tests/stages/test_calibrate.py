import json

import numpy as np
import pandas as pd
import pytest

from tests.conftest import refusal, run_stage, set_params
from thaw.calibration import temperature
from thaw.calibration.saved import Calibration
from thaw.data import manifest
from thaw.evaluation.metrics import to_probabilities


def test_it_is_of_the_validation_images(finished_run):
    split = pd.read_csv(finished_run / "data/split.csv")
    validation = (split["split"] == "validation").to_numpy()
    found = Calibration.read(finished_run / "models/calibration")
    assert found.logits.shape == (validation.sum(), 3)
    truth = manifest.class_indices(split)[validation]
    fitted = temperature.fit(truth, to_probabilities(found.logits))
    assert found.temperature["fine_tuned"] == pytest.approx(fitted)
    assert found.temperature["head"] != found.temperature["fine_tuned"]
    best = json.loads((finished_run / "metrics/fine_tune/metrics.json").read_text())
    accuracy = (found.logits.argmax(axis=1) == truth).mean()
    assert accuracy == pytest.approx(best["val_acc"], abs=1e-4)
    assert len(found.unknown.references) == (split["split"] == "train").sum()
    features = np.load(finished_run / "data/features/avg.npy")[validation]
    scores = found.unknown.score(features, to_probabilities(found.logits))
    assert found.unknown.threshold in (None, *scores)
    assert found.unsure is None


def test_twice_gives_the_same_bytes(after_run):
    folder = after_run / "models/calibration"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run_stage("calibrate")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_target_becomes_a_threshold_or_a_refusal(after_run):
    set_params(after_run / "params.yaml", {"calibrate": {"target_accuracy": 0.5, "known": 0.5}})
    run_stage("calibrate")
    run_stage("evaluate")
    facts = json.loads((after_run / "models/calibration/calibration.json").read_text())
    table = pd.read_csv(after_run / "data/predictions.csv")
    sure = table[[each for each in table if each.startswith("p(")]].to_numpy().max(axis=1)
    refused = json.loads((after_run / "metrics/test.json").read_text())["refused"]
    assert refused["unsure"] == pytest.approx((sure < facts["unsure"]).mean(), abs=0.06)
    assert 0 < refused["unknown"] < 1
    set_params(after_run / "params.yaml", {"calibrate": {"target_accuracy": 0.999}})
    assert "[calibrate.target_accuracy]: an accuracy of 0.999 takes at least 999 " in refusal(
        "calibrate"
    )
