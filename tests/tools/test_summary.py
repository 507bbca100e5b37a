import json
import shutil

import pytest

from tests import small_run
from tests.imports import ROOT
from thaw.project import timings
from thaw.project.errors import UserError
from tools import summary


@pytest.fixture
def finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_run.write(tmp_path, wrong=5)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    return tmp_path


def test_it_names_scores_counts_and_places(finished, capsys):
    summary.main()
    said = capsys.readouterr().out
    scores = json.loads((finished / "metrics/test.json").read_text())
    for model in ("head", "fine_tuned"):
        assert f"{scores[model]['accuracy']:.4f} ({scores[model]['accuracy_low']:.4f} to " in said
    assert "images      1,000 of 2 classes: 600 train, 200 validation, 200 test\n" in said
    for word in ("gain ", "metrics/figures/; `make report`", "models/export/model.keras"):
        assert word in said


def test_images_that_were_left_out_are_said(finished, capsys):
    summary.main()
    assert "quarantined" not in capsys.readouterr().out
    report = json.loads((finished / "metrics/split.json").read_text())
    report["images"] |= {"found": 1012, "quarantined": 12}
    (finished / "metrics/split.json").write_text(json.dumps(report))
    summary.main()
    assert (
        "\nquarantined 12 of 1,012 images were invalid and left out; data/quarantine.csv has the "
        "reasons\n" in capsys.readouterr().out
    )


def test_corrections_are_counted(finished, capsys):
    summary.main()
    assert "corrected" not in capsys.readouterr().out
    report = json.loads((finished / "metrics/split.json").read_text())
    report["images"]["left_out"] = 3
    report["relabelled"] |= {"train": 1207, "test": 5}
    (finished / "metrics/split.json").write_text(json.dumps(report))
    summary.main()
    assert (
        "\ncorrected   other labels: 1,207 train, 5 test; 3 left out (data/corrected.csv)\n"
    ) in capsys.readouterr().out


def test_how_16_bits_were_decoded_is_said(finished, capsys):
    (finished / "data").mkdir(exist_ok=True)
    shutil.copy(ROOT / "params.yaml", finished)
    manifest = finished / "data/manifest.csv"
    manifest.write_text("path,label,mode\na/0.jpg,a,RGB\n")
    summary.main()
    assert "16 bits" not in capsys.readouterr().out
    manifest.write_text("path,label,mode,largest\na/0.png,a,I;16,900\na/1.png,a,I;16,4000\n")
    summary.main()
    assert "\n16 bits     2 images have 16 bits a value, with values up to 4000" in (
        capsys.readouterr().out
    )


def test_the_time_of_each_stage_is_in_the_order_of_the_pipeline(finished, capsys, monkeypatch):
    known = {"figures": 7.4, "a stage of another project": 99.0, "extract": 51.2, "download": 0.6}
    monkeypatch.setattr(timings, "last", lambda runs, folder: known)
    summary.main()
    said = capsys.readouterr().out
    assert "time        59 s, stages when last run: download 1, extract 51, figures 7\n" in said
    monkeypatch.setattr(
        timings, "last", lambda runs, folder: dict.fromkeys(known | {"split": 1.0}, 10_000)
    )
    monkeypatch.setattr(summary, "WIDTH", 60)
    summary.main()
    lines = capsys.readouterr().out.split("time")[1].split("figures  ")[0].splitlines()
    assert len(lines) == 2
    assert all(len(line) <= 60 for line in lines)
    assert lines[1].startswith(" " * 12)
    monkeypatch.setattr(timings, "last", lambda runs, folder: {})
    summary.main()
    assert "time" not in capsys.readouterr().out


def test_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run `make run`"):
        summary.main()
