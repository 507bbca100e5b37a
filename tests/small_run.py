"""A repository with what a run leaves, made in a second and without TensorFlow."""

import shutil
from pathlib import Path

import numpy as np

from stages.lib import files, scores
from tests.imports import ROOT
from tests.test_pipeline import call

CLASSES = ["NA", "dog"]  # pandas would take the first for nothing
COUNT = 200  # test pictures
STAGE = """
stages:
  evaluate:
    cmd: mkdir -p data && cp given.csv data/predictions.csv
    deps: [given.csv]
    params: [fine_tune]
    outs: [data/predictions.csv]
"""


def leave(folder: Path, wrong: int, first: int = 0, ending: str = "jpg") -> None:
    """Leave what a run leaves that mistakes `wrong` test pictures, from the `first`-th on."""
    truth = np.arange(COUNT) % 2
    chances = np.eye(2)[truth] * 0.8 + 0.1
    chances[first : first + wrong] = chances[first : first + wrong, ::-1]
    guess = chances.argmax(axis=1)
    (folder / "metrics").mkdir(exist_ok=True)
    files.write_json(folder / "metrics/test.json", scores.compare(truth, chances, chances, 0.95))
    confusion = scores.confusion(truth, guess, CLASSES)
    files.write_csv(folder / "metrics/evaluate/confusion.csv", confusion)
    counts = {"train": 300, "validation": 100, "test": COUNT // 2, "aside": 0}
    files.write_json(folder / "metrics/split.json", {"classes": dict.fromkeys(CLASSES, counts)})
    for phase in ("train_head", "fine_tune"):
        for part in ("train", "validation"):
            for metric in ("loss", "accuracy"):
                file = folder / f"metrics/{phase}/plots/metrics/{part}/{metric}.tsv"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"step\t{metric}\n0\t0.9\n1\t0.5\n2\t0.4\n")
    rows = [f"{CLASSES[row % 2]}/{row // 2}.{ending},{CLASSES[row % 2]}" for row in range(COUNT)]
    lines = [f"{row},{CLASSES[each]},{CLASSES[each]}" for row, each in zip(rows, guess)]
    (folder / "given.csv").write_text("\n".join(["path,label,head,fine_tuned", *lines]) + "\n")
    call("dvc", "repro", "--quiet", cwd=folder)


def make(folder: Path) -> Path:
    """Make `folder` a repository whose branch main has a run with 5 mistakes of 200 pictures."""
    for name in ("params.yaml", "report.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "dvc.yaml").write_text(STAGE)
    (folder / ".gitignore").write_text("/data/\n/report/\n")
    call("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    call("git", "config", "user.name", "test", cwd=folder)
    call("git", "config", "user.email", "test@example.com", cwd=folder)
    call("dvc", "init", "--quiet", cwd=folder)
    leave(folder, 5)
    call("git", "add", "--all", cwd=folder)
    call("git", "commit", "--quiet", "--message", "main", cwd=folder)
    return folder
