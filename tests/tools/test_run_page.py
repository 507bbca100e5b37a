import json
import re
import shutil

import pandas as pd
import pytest
import yaml
from PIL import Image

from tests import small_run
from tests.conftest import set_params
from tests.imports import ROOT
from thaw.project import files, timings
from thaw.project.errors import UserError
from tools import run_page
from tools.reports import captions


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A run with tiny figures, and a dvc.lock that says nothing against it; what is opened."""
    monkeypatch.chdir(tmp_path)
    small_run.write(tmp_path, wrong=5)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    for path in captions.CAPTIONS:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 5)).save(path)
    opened = []
    monkeypatch.setattr(run_page.webbrowser, "open", opened.append)
    monkeypatch.setattr(timings, "last", lambda runs, folder: {"extract": 12.3})
    return tmp_path, opened


def called(monkeypatch, *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["run_page", *arguments])
    run_page.main()
    with open("run.html") as page:
        return page.read()


def test_every_figure_that_dvc_plots_is_on_the_page():
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    images = {each for each in plots if isinstance(each, str)}
    assert {path.as_posix() for path in captions.CAPTIONS} == images
    assert all(caption.endswith(".") for caption in captions.CAPTIONS.values())


def test_the_page_holds_all_and_needs_nothing_else(finished, monkeypatch, capsys):
    set_params(finished[0] / "params.yaml", {"data": {"source": "<b>a|b</b>"}})
    page = called(monkeypatch, "--no-open")
    assert capsys.readouterr().out == "run.html\n"
    assert len(re.findall(r'<img src="data:image/png;base64,', page)) == len(captions.CAPTIONS)
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert page.count("<table>") == 3
    assert page.count("<h3>") == len(captions.CAPTIONS)
    assert "<h3>Grad-CAM</h3>" in page
    assert "<code>fine_tune.learning_rate</code></td>" in page
    assert "<code>&lt;b&gt;a|b&lt;/b&gt;</code></td>" in page
    assert "<code>null</code></td>" in page
    assert "<code>NA</code></td>" in page
    assert "0.970 (0.915 to 0.990)</td>" in page  # of NA: 97 of 100, by Wilson's method
    assert "1,000 found, 0 quarantined as invalid, 0 left out by a person. Corrected: none." in page
    assert "12 s, stages when last run: extract 12" in page
    assert page.startswith('<!doctype html><html lang="en"><meta charset="utf-8"><title>Test accur')


def test_the_baseline_is_among_the_scores(finished, monkeypatch):
    assert "ridge" not in called(monkeypatch, "--no-open")
    file = finished[0] / "metrics/test.json"
    found = {"accuracy": 0.8125, "accuracy_low": 0.75, "accuracy_high": 0.86}
    files.write_json(file, json.loads(file.read_text()) | {"baseline": {"ridge": found}})
    page = called(monkeypatch, "--no-open")
    assert re.search(
        r">ridge</td>\s*<td[^>]*>0.8125 \(0.7500 to 0.8600\)</td>\s*<td[^>]*></td>", page
    )
    assert "without training" in page


def test_numbers_in_figures_are_explained(finished, monkeypatch):
    assert "<code>#7</code>" not in called(monkeypatch, "--no-open")
    (finished[0] / "metrics/figures/classes.csv").write_text("number,class\n#7,\u732b|NA\n")
    page = called(monkeypatch, "--no-open")
    assert re.search(r"<td[^>]*>#7</td>\s*<td[^>]*><code>\u732b\|NA</code></td>", page)
    assert "<code>make fonts</code>" in page


def test_a_missing_figure_is_named(finished, monkeypatch):
    (finished[0] / "metrics/figures/roc.png").unlink()
    page = called(monkeypatch, "--no-open")
    assert "<code>metrics/figures/roc.png</code> is missing; <code>dvc pull</code>" in page
    assert page.count("<img") == len(captions.CAPTIONS) - 1


def test_figures_of_another_run_are_not_passed_off_as_this_ones(finished, monkeypatch):
    """As after `dvc repro evaluate`."""
    assert "not of this run" not in called(monkeypatch, "--no-open")
    there = {"outs": [{"path": "data/predictions.csv", "md5": "1"}]}
    drawn = {"deps": [{"path": "data/predictions.csv", "md5": "0"}]}
    lock = yaml.safe_dump({"stages": {"evaluate": there, "figures": drawn}})
    (finished[0] / "dvc.lock").write_text(lock)
    page = called(monkeypatch, "--no-open")
    assert "<strong>They are not of this run</strong>: these figures: figures was run with" in page
    assert "<code>dvc repro</code> draws them anew" in page


def test_many_classes_are_summed_up():
    counts = pd.DataFrame({"test": 1, "train": 5, "validation": 2, "excluded": 0}, index=range(43))
    counts.loc[3, "train"], counts.loc[41, "train"] = 4, 9
    recall = [f"0.5 (0.1 to 0.{number})" for number in range(43)]
    lines = run_page.images(counts, recall).splitlines()
    assert lines[0].replace(" ", "") == "|images|train|validation|test|excluded|recallintest|"
    assert len(lines) == 2 + 40 + 2
    cells = [line.replace(" ", "") for line in lines[2:]]
    assert cells[0] == "|`41`|9|2|1|0|0.5(0.1to0.41)|"
    assert cells[20] == "|3moreclasses|15|6|3|0||"
    assert cells[-2:] == ["|`3`|4|2|1|0|0.5(0.1to0.3)|", "|all|218|86|43|0||"]


@pytest.mark.parametrize(("display", "opens"), [("DISPLAY", 1), ("WAYLAND_DISPLAY", 1), (None, 0)])
def test_it_opens_where_there_is_a_window_for_it(finished, monkeypatch, display, opens):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if display:
        monkeypatch.setenv(display, ":7")
    called(monkeypatch)
    assert finished[1] == [(finished[0] / "run.html").resolve().as_uri()] * opens


def test_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["run_page"])
    with pytest.raises(UserError, match="run `make run`"):
        run_page.main()
    assert not (tmp_path / "run.html").exists()


def test_a_page_of_two_runs_is_not_written(finished, monkeypatch):
    def compose(found):
        (finished[0] / "dvc.lock").write_text("stages: {evaluate: {outs: []}}\n")
        return "# of both"

    monkeypatch.setattr(run_page, "compose", compose)
    with pytest.raises(UserError, match="a run has replaced outputs while they were read; try"):
        called(monkeypatch)
    assert not (finished[0] / "run.html").exists()
