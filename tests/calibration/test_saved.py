import json

import numpy as np
import pytest

from thaw.calibration import saved, selection, sets, temperature, unknown
from thaw.calibration.saved import Calibration
from thaw.evaluation.metrics import to_probabilities
from thaw.project.errors import UserError

RANDOM = np.random.default_rng(0)
TRUTH = np.arange(101) % 3
LOGITS = RANDOM.normal(6 * np.eye(3)[TRUTH], 4).astype("float32")
BEFORE = {"head": to_probabilities(LOGITS / 3), "fine_tuned": to_probabilities(LOGITS)}
FEATURES = RANDOM.normal(1, 0.1, (101, 7)).astype("float32")


def fit(target: float | None, known: float | None = 0.95) -> Calibration:
    told = unknown.fit(FEATURES[::2], FEATURES, BEFORE["fine_tuned"], known)
    return saved.fit(TRUTH, BEFORE, LOGITS, told, target)


@pytest.mark.parametrize(("target", "known"), [(None, 0.95), (0.9, None)])
def test_it_is_read_as_it_was_written(tmp_path, target, known):
    wrote = fit(target, known)
    wrote.write(tmp_path / "calibration")
    found = Calibration.read(tmp_path / "calibration")
    assert found.temperature == wrote.temperature
    assert found.unsure == wrote.unsure
    assert found.unknown.threshold == wrote.unknown.threshold
    assert found.logits.tolist() == LOGITS.tolist()
    assert found.truth.tolist() == TRUTH.tolist()
    assert found.set_limit(0.9) == sets.limit(TRUTH, wrote.apply(BEFORE["fine_tuned"]), 0.9)
    asked = FEATURES + 0.05, BEFORE["fine_tuned"]
    assert found.unknown.score(*asked).tolist() == wrote.unknown.score(*asked).tolist()
    assert found.refused(*asked) == wrote.refused(*asked)


def test_each_model_has_its_temperature():
    found = fit(None)
    assert found.temperature["fine_tuned"] == pytest.approx(3 * found.temperature["head"], rel=0.05)
    for name, each in BEFORE.items():
        expected = temperature.apply(each, found.temperature[name])
        assert found.apply(each, name).tolist() == expected.tolist()


def test_unsure_is_by_calibrated_probabilities():
    found = fit(0.9)
    calibrated = found.apply(BEFORE["fine_tuned"])
    assert found.unsure == selection.threshold(TRUTH, calibrated, 0.9)
    unsure = found.is_unsure(calibrated)
    assert unsure.tolist() == (calibrated.max(axis=1) < found.unsure).tolist()
    assert found.refused(FEATURES, BEFORE["fine_tuned"]) == {
        "unknown": pytest.approx(0.04, abs=0.011),
        "unsure": round(unsure.mean(), 4),
    }
    assert not fit(None).is_unsure(calibrated).any()
    assert f"; unsure below {found.unsure:.4f}; unknown above " in found.summary()
    assert found.summary().endswith(" (of 101 validation images)")


@pytest.mark.parametrize("name", [saved.FACTS, saved.REFERENCES, saved.LOGITS])
@pytest.mark.parametrize("content", [None, b"{}"])
def test_what_is_missing_or_damaged_says_what_to_do(tmp_path, name, content):
    folder = tmp_path / "calibration"
    fit(None).write(folder)
    (folder / name).write_bytes(content) if content else (folder / name).unlink()
    with pytest.raises(UserError, match="is missing or damaged") as error:
        Calibration.read(folder)
    assert error.value.hint == "run `dvc repro calibrate`"


def test_facts_are_json_that_git_shows_well(tmp_path):
    fit(None).write(tmp_path / "calibration")
    text = (tmp_path / "calibration" / saved.FACTS).read_text()
    assert set(json.loads(text)) == {"temperature", "unsure", "unknown"}
    assert text.endswith("}\n")
