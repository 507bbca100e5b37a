import subprocess
import sys

import numpy as np
import pytest

from thaw.evaluation import baseline
from thaw.project import paths
from thaw.project.errors import UserError
from tools import few_shot
from tools.experiments.rows import read_rows


def called(monkeypatch, capsys, *arguments: str) -> list[list[str]]:
    monkeypatch.setattr("sys.argv", ["few_shot", *arguments])
    few_shot.main()
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_accuracy_by_images_of_each_class(extracted, monkeypatch, capsys):
    header, *lines = called(monkeypatch, capsys, "--draws", "3")
    rows = read_rows()
    train, validation = (np.flatnonzero(rows.split == part) for part in ("train", "validation"))
    assert header == ["images", "per", "class", "training", "images", "neighbours", "ridge"]
    most = np.bincount(rows.classes[train])
    assert [line[0] for line in lines] == ["1", "5", "10", "all"]
    assert [int(line[1]) for line in lines] == [
        *(int(np.minimum(most, shots).sum()) for shots in (1, 5, 10)),
        len(train),
    ]
    features = np.load(paths.FEATURES / "avg.npy")
    found = baseline.predict(features, rows.classes, train, validation)
    truth = rows.classes[validation]
    assert lines[-1][2:] == [f"{(each == truth).mean():.4f}" for each in found.values()]
    assert float(lines[0][2]) <= float(lines[2][2])
    assert [line[3] for line in lines[:3]] == ["±"] * 3


def test_test_images_are_not_looked_at(extracted, monkeypatch, capsys):
    before = called(monkeypatch, capsys, "--draws", "2", "--shots", "3", "2", "2")
    assert [line[0] for line in before[1:]] == ["2", "3", "all"]
    features = np.load(paths.FEATURES / "avg.npy")
    features[read_rows().split == "test"] = np.nan
    np.save(paths.FEATURES / "avg.npy", features)
    assert called(monkeypatch, capsys, "--draws", "2", "--shots", "2", "3") == before


def test_no_image_is_refused(extracted, monkeypatch, capsys):
    with pytest.raises(UserError, match="--shots should be at least 1"):
        called(monkeypatch, capsys, "--shots", "0")


def test_it_needs_no_tensorflow():
    code = "import sys, tools.few_shot; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
