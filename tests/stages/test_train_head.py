import json
import re

import numpy as np
import pytest

from tests.conftest import run_stage, set_params
from thaw.project.errors import UserError


def test_the_head_learns_and_its_log_says_so(finished_run):
    log = json.loads((finished_run / "metrics/train_head/metrics.json").read_text())
    assert log["head_val_acc"] > 0.6
    curve = (finished_run / "metrics/train_head/plots/metrics/validation/loss.tsv").read_text()
    assert len(curve.splitlines()) == 1 + 1 + 3  # header, the start, three epochs


def test_twice_gives_the_same_bytes(after_run):
    before = (after_run / "models/head.weights.h5").read_bytes()
    log = (after_run / "metrics/train_head/metrics.json").read_bytes()
    run_stage("train_head")
    assert (after_run / "models/head.weights.h5").read_bytes() == before
    assert (after_run / "metrics/train_head/metrics.json").read_bytes() == log


@pytest.mark.slow
def test_flatten_needs_maps(after_run):
    set_params(after_run / "params.yaml", {"head": {"pooling": "flatten"}})
    with pytest.raises(UserError, match=r"set extract\.feature_maps to true"):
        run_stage("train_head")
    set_params(
        after_run / "params.yaml", {"extract": {"feature_maps": True}, "head": {"hidden": [4]}}
    )
    run_stage("extract")
    run_stage("train_head")


def test_test_rows_are_never_read(after_run, capsys):
    before = (after_run / "models/head.weights.h5").read_bytes()
    split = (after_run / "data/split.csv").read_text().splitlines()[1:]
    test = [row for row, line in enumerate(split) if line.endswith(",test")]
    features = np.load("data/features/avg.npy")
    features[test] = np.nan
    np.save("data/features/avg.npy", features)
    run_stage("train_head")
    said = r"without training: validation accuracy neighbours [01]\.\d{4}, ridge [01]\.\d{4}\n"
    assert re.search(said, capsys.readouterr().out)
    assert (after_run / "models/head.weights.h5").read_bytes() == before


def test_a_start_from_text_needs_a_backbone_that_knows_texts(after_run):
    set_params(after_run / "params.yaml", {"head": {"start": "text", "pooling": "cls"}})
    with pytest.raises(
        UserError, match=r"head\.start\]: the backbone knows no texts; set it to ran"
    ):
        run_stage("train_head")
