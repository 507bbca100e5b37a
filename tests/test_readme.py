"""What the README says to type, typed."""

import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image

from tests.imports import ROOT
from tools import summary

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_snippet_that_predicts_agrees_with_the_predictions(after_run, orientation):
    row = pd.read_csv("data/predictions.csv").iloc[-1]
    with Image.open(after_run / "data/raw" / row["path"]) as picture:
        exif = picture.getexif()
        exif[0x0112] = orientation
        upright = picture.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else picture
        upright.save(after_run / "cat.png", exif=exif)
    shutil.move("cat.png", "cat.jpg")  # what the snippet opens; the content is what counts
    snippet = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True)
    label, probability = done.stdout.splitlines()[-1].rsplit(" ", 1)
    assert label == row["fine_tuned"], done.stderr
    assert float(probability) == pytest.approx(row[f"p({label})"], abs=1e-4)


def test_no_place_is_left_to_fill():
    assert re.findall(r"^[@A-Z_]+$", README, re.M) == []


def test_every_make_command_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / page).read_text()))
        assert named & targets
        assert set(re.findall(r"^make ([a-z]+)", (ROOT / page).read_text(), re.M)) <= targets


def test_its_pictures_are_there_and_small():
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(shown) >= 3
    for path in shown:
        assert (ROOT / path).stat().st_size < 60_000
        with Image.open(ROOT / path) as picture:
            assert picture.format == "PNG"


def test_the_summary_shown_is_laid_out_as_it_is_printed(after_run, capsys):
    (after_run / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    summary.main()
    printed = capsys.readouterr().out.strip("\n").splitlines()
    shown = README.split("ends\nwith\n\n```\n")[1].split("\n```")[0].splitlines()

    def labels(lines: list[str]) -> list[str]:
        return [line[:12] for line in lines if line[:12].strip() not in ("", "time")]

    assert labels(shown) == labels(printed)
    assert shown[0] == printed[0]
    for name in ("figures", "all plots", "classifier"):
        line = next(line for line in printed if line.startswith(name))
        assert line in shown
