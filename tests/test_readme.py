"""What the README says to type, typed."""

import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image

from tests.imports import ROOT
from thaw.project import params
from tools import summary

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("orientation", [pytest.param(1, marks=pytest.mark.slow), 6])
def test_the_snippet_that_predicts_agrees_with_the_predictions(after_run, orientation):
    row = pd.read_csv("data/predictions.csv").iloc[-1]
    with Image.open(after_run / "data/raw" / row["path"]) as image:
        exif = image.getexif()
        exif[0x0112] = orientation
        upright = image.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else image
        upright.save(after_run / "cat.png", exif=exif)
    shutil.move("cat.png", "cat.jpg")  # what the snippet opens; the content is what counts
    snippet = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True)
    label, probability = done.stdout.splitlines()[-1].rsplit(" ", 1)
    assert label == row["fine_tuned"], done.stderr
    assert float(probability) == pytest.approx(row[f"p({label})"], abs=1e-4)


def test_it_is_short_and_no_place_is_left_to_fill():
    assert len(README.splitlines()) <= 200
    assert re.findall(r"^[@A-Z_]+$", README, re.M) == []


def test_its_images_are_there_and_small():
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(shown) >= 3
    for path in shown:
        assert (ROOT / path).stat().st_size < 60_000
        with Image.open(ROOT / path) as image:
            assert image.format == "PNG"


def test_the_settings_shown_have_the_values_of_params_yaml():
    values = params.read(ROOT / "params.yaml")
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| `(.+?)` \|", README, re.M)
    assert len(rows) == 12
    for section, key, shown in rows:
        value = values[section][key]
        assert shown == (f"[{', '.join(value)}]" if isinstance(value, list) else str(value))


def test_every_stage_and_tool_has_its_row():
    stages = params.read(ROOT / "dvc.yaml")["stages"]
    assert re.findall(r"^\| (\w+) \| .* \| `", README, re.M) == list(stages)
    tools = README.split("| tool | what it does |")[1].split("\n\n")[0]
    tools = re.findall(r"^\| `(\w+)` \|", tools, re.M)
    assert sorted(tools) == sorted(path.stem for path in (ROOT / "tools").glob("[!_]*.py"))


def test_the_summary_shown_is_laid_out_as_it_is_printed(after_run, capsys):
    (after_run / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    summary.main()
    printed = capsys.readouterr().out.strip("\n").splitlines()
    shown = next(block for block in README.split("```\n") if block.startswith(printed[0]))
    shown = shown.splitlines()

    def labels(lines: list[str]) -> list[str]:
        return [line[:12] for line in lines if line[:12].strip() not in ("", "time")]

    assert labels(shown) == labels(printed)
    for name in ("figures", "all plots", "classifier"):
        line = next(line for line in printed if line.startswith(name))
        assert line in shown
