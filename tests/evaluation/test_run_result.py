import json

import numpy as np
import pandas as pd
import pytest

from thaw.evaluation import metrics
from thaw.evaluation.run_result import RunResult
from thaw.project import files, paths
from thaw.project.errors import UserError

LABELS = ["dog", "NA", "dog", "NA", "dog", "NA", "dog"]
SPLIT = ["test", "train", "train", "test", "excluded", "validation", "test"]
SLICE = {"by": "group", "part": "NA", "images": 3, "accuracy": 0.5, "low": 0.1, "high": 0.9}
SLICE |= {"rest": 1.0, "p_value": 0.04}
PROBABILITIES = np.array([[0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])  # of NA and dog


@pytest.fixture
def folder(tmp_path):
    """What a run of seven images leaves, without the images."""
    rows = pd.DataFrame({"path": [f"{n}.jpg" for n in range(7)], "label": LABELS})
    tested = rows.iloc[[0, 3, 6]]
    predicted = {name: PROBABILITIES.argmax(axis=1) for name in ("head", "fine_tuned")}
    tables = {
        paths.MANIFEST: rows,
        paths.SPLIT: rows.assign(split=SPLIT),
        paths.PREDICTIONS: metrics.predictions(tested, predicted, PROBABILITIES, ["NA", "dog"]),
        paths.EVALUATION / "recall.csv": pd.DataFrame({"class": ["NA"], "fine_tuned": [0.5]}),
        paths.EVALUATION / "reliability.csv": pd.DataFrame(
            {"confidence": [0.7], "accuracy": [1.0], "images": [3]}
        ),
        paths.EVALUATION / "slices.csv": pd.DataFrame([SLICE]),
    }
    for path, table in tables.items():
        files.write_csv(tmp_path / path, table)
    files.write_json(tmp_path / paths.TEST, {"head": {"accuracy": 0.5}})
    files.write_json(tmp_path / paths.SPLIT_REPORT, {"images": {"found": 8}})
    return tmp_path


def test_all_is_of_the_same_rows(folder):
    run = RunResult(folder)
    assert run.classes == ["NA", "dog"]  # pandas would take the first for nothing
    assert run.truth.tolist() == [1, 0, 1, 0, 1, 0, 1]
    assert run.train.tolist() == [1, 2]
    assert run.test.tolist() == [0, 3, 6]
    assert run.probabilities == pytest.approx(PROBABILITIES)
    assert run.images(run.test[[2, 0]]) == [folder / "data/raw/6.jpg", folder / "data/raw/0.jpg"]


def test_scores_and_tables(folder):
    run = RunResult(folder)
    assert run.test_scores == {"head": {"accuracy": 0.5}}
    assert run.split_report == {"images": {"found": 8}}
    assert run.recall.to_dict("records") == [{"class": "NA", "fine_tuned": "0.5"}]
    assert run.reliability.to_dict("records") == [{"confidence": 0.7, "accuracy": 1.0, "images": 3}]
    assert run.slices.to_dict("records") == [SLICE]
    assert run.slices["images"].dtype.kind == "i"


def test_files_are_read_when_they_are_asked_for_and_once(folder):
    run = RunResult(folder)
    (folder / paths.PREDICTIONS).unlink()
    assert run.test_scores
    (folder / paths.TEST).write_text(json.dumps({"head": {"accuracy": 0.6}}))
    assert run.test_scores == {"head": {"accuracy": 0.5}}
    with pytest.raises(UserError, match=r"predictions.csv is missing"):
        _ = run.probabilities


@pytest.mark.parametrize("text", [None, "{"])
@pytest.mark.parametrize(
    ("name", "path", "stage"),
    [("test_scores", paths.TEST, "evaluate"), ("split_report", paths.SPLIT_REPORT, "split")],
)
def test_what_is_missing_or_damaged_names_its_stage(folder, name, path, stage, text):
    (folder / path).write_text(text) if text else (folder / path).unlink()
    with pytest.raises(UserError, match=f"{path} is missing or damaged") as error:
        getattr(RunResult(folder), name)
    assert f"dvc repro {stage}`" in error.value.hint
