import subprocess
import sys

import numpy as np
import pytest

from thaw.evaluation import baseline
from thaw.project import paths
from thaw.project.errors import UserError
from tools import few_shot
from tools.experiments.rows import read_rows
from tools.labelling import training_parts


def called(monkeypatch, capsys, *arguments: str) -> list[list[str]]:
    monkeypatch.setattr("sys.argv", ["few_shot", *arguments])
    few_shot.main()
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_accuracy_by_images_of_each_class(extracted, monkeypatch, capsys):
    rows = read_rows()
    noise = np.random.default_rng(0).normal(0, 0.4, (len(rows.classes), 24))
    features = (np.eye(3, 24)[rows.classes] + noise).astype("float32")
    np.save(paths.FEATURES / "avg.npy", features)
    header, *lines = called(monkeypatch, capsys, "--draws", "3")
    train, validation = (np.flatnonzero(rows.split == part) for part in ("train", "validation"))
    assert header == ["images", "per", "class", "training", "images", "neighbours", "ridge"]
    most = np.bincount(rows.classes[train])
    assert [line[0] for line in lines] == ["1", "5", "10", "all"]
    assert [int(line[1]) for line in lines] == [
        *(int(np.minimum(most, shots).sum()) for shots in (1, 5, 10)),
        len(train),
    ]
    truth = rows.classes[validation]

    def accuracy(part: np.ndarray) -> list[float]:
        found = baseline.predict(features, rows.classes, part, validation)
        return [(each == truth).mean() for each in found.values()]

    assert lines[-1][2:] == [f"{each:.4f}" for each in accuracy(train)]
    for line, shots in zip(lines, (1, 5, 10)):
        parts = [training_parts.draw(rows, [few_shot.take(shots)], seed)[0] for seed in range(3)]
        of_probes = np.transpose([accuracy(part) for part in parts])
        assert " ".join(line[2:]) == " ".join(training_parts.written(of_probes))
    assert float(lines[0][2]) + 0.05 < float(lines[2][2])


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
