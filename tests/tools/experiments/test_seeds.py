import shutil

import pytest

from tests.imports import ROOT
from tests.repository import run_and_commit
from thaw.project.errors import UserError
from tools import verify
from tools.experiments import seeds


def test_mean_deviation_and_range_of_each_score():
    found = {1: {"head test accuracy": 0.9}, 2: {"head test accuracy": 0.96}}
    head, row = seeds.table(found).splitlines()
    assert head.split() == ["seed", "1", "seed", "2", "mean", "std", "range"]
    assert row.split()[-5:] == ["0.9000", "0.9600", "0.9300", "0.0424", "0.0600"]


def test_one_seed_varies_in_nothing():
    with pytest.raises(UserError, match=r"^--seeds 1: should be at least 2$"):
        seeds.report(1, 1)


DVC = """
stages:
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py]
    params: [train_head, fine_tune]
    outs:
      - metrics/test.json:
          cache: false
    metrics:
      - metrics/train_head/metrics.json:
          cache: false
      - metrics/fine_tune/metrics.json:
          cache: false
plots: []
"""
EVALUATE = """
import json, yaml
from pathlib import Path
values = yaml.safe_load(open("params.yaml"))
head, whole = (values[stage]["seed"] / 100 for stage in ("train_head", "fine_tune"))
test = {"head": {"accuracy": 0.5 + head, "loss": 0.9}}
test["fine_tuned"] = {"accuracy": 0.7, "loss": whole}
for file, found in {
    "test": test,
    "train_head/metrics": {"head_val_acc": 0.6 + head, "head_val_loss": 0.8},
    "fine_tune/metrics": {"val_acc": 0.75, "val_loss": 0.3 + whole},
}.items():
    Path(f"metrics/{file}.json").parent.mkdir(parents=True, exist_ok=True)
    Path(f"metrics/{file}.json").write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_two_seeds_are_two_experiments(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "evaluate.py").write_text(EVALUATE)
    run_and_commit(tmp_path)
    monkeypatch.setattr("sys.argv", ["verify", "--seeds", "2"])
    verify.main()
    said = capfd.readouterr().out
    assert "2 of 2 runs to do: evaluate 1x; " in said  # seed 1 is what was run
    rows = [line.split() for line in said[said.index("   seed 1") :].splitlines()]
    assert {" ".join(row[:3]): row[3:5] for row in rows[1:]} == {
        "head validation accuracy": ["0.6100", "0.6200"],
        "head validation loss": ["0.8000", "0.8000"],
        "head test accuracy": ["0.5100", "0.5200"],
        "head test loss": ["0.9000", "0.9000"],
        "fine_tuned validation accuracy": ["0.7500", "0.7500"],
        "fine_tuned validation loss": ["0.3100", "0.3200"],
        "fine_tuned test accuracy": ["0.7000", "0.7000"],
        "fine_tuned test loss": ["0.0100", "0.0200"],
    }
