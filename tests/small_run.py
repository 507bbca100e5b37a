"""A repository with what a run leaves, made in a second and without TensorFlow."""

import shutil
from pathlib import Path

import numpy as np
from dvc.repo import Repo

from tests.imports import ROOT
from tests.repository import commit, init_git, reproduce
from thaw.evaluation import metrics
from thaw.project import files

ENVIRONMENT = {"instructions": ["AVX2", ""], "threads": 2, "versions": {"numpy": "2.4.1"}}
CLASSES = ["NA", "dog"]  # pandas would take the first for nothing
COUNT = 200  # test images
STAGE = """
stages:
  evaluate:
    cmd: mkdir -p data; cp given.csv data/predictions.csv; cp given.json metrics/environment.json
    deps: [given.csv, given.json]
    params: [fine_tune]
    outs: [data/predictions.csv, metrics/environment.json]
"""


def leave(folder: Path, wrong: int, first: int = 0, ending: str = "jpg") -> None:
    """Leave what a run leaves that misclassifies `wrong` test images, from the `first`-th on."""
    write(folder, wrong, first, ending)
    reproduce(folder)


def write(folder: Path, wrong: int, first: int = 0, ending: str = "jpg") -> None:
    """Write metrics/, given.csv and given.json, as `leave` does, without DVC."""
    truth = np.arange(COUNT) % 2
    probabilities = np.eye(2)[truth] * 0.8 + 0.1
    probabilities[first : first + wrong] = probabilities[first : first + wrong, ::-1]
    guess = probabilities.argmax(axis=1)
    (folder / "metrics").mkdir(exist_ok=True)
    files.write_json(
        folder / "metrics/test.json", metrics.compare(truth, probabilities, probabilities, 0.95)
    )
    confusion = metrics.confusion(truth, guess, CLASSES)
    files.write_csv(folder / "metrics/evaluate/confusion.csv", confusion)
    counts = {"train": 300, "validation": 100, "test": COUNT // 2, "excluded": 0}
    images = {"found": 1000, "quarantined": 0, "left_out": 0, "excluded": 0, "used": 1000}
    report = {"images": images, "classes": dict.fromkeys(CLASSES, counts)}
    report |= {"relabelled": dict.fromkeys(counts, 0), "test_set": f"{COUNT:064x}"}
    files.write_json(folder / "metrics/split.json", report)
    for phase in ("train_head", "fine_tune"):
        for part in ("train", "validation"):
            for metric in ("loss", "accuracy"):
                file = folder / f"metrics/{phase}/plots/metrics/{part}/{metric}.tsv"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"step\t{metric}\n0\t0.9\n1\t0.5\n2\t0.4\n")
    files.write_json(folder / "given.json", ENVIRONMENT)
    rows = [f"{CLASSES[row % 2]}/{row // 2}.{ending},{CLASSES[row % 2]}" for row in range(COUNT)]
    lines = [f"{row},{CLASSES[each]},{CLASSES[each]}" for row, each in zip(rows, guess)]
    (folder / "given.csv").write_text("\n".join(["path,label,head,fine_tuned", *lines]) + "\n")


def make(folder: Path, larger: Path | None = None) -> Path:
    """Make `folder` a repository whose branch main has a run with 5 of 200 images misclassified.

    `larger`: a folder above it that is the Git repository instead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "report.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "dvc.yaml").write_text(STAGE)
    (folder / ".gitignore").write_text("/data/\n/report/\n")
    init_git(larger or folder)
    Repo.init(folder, subdir=larger is not None).close()
    leave(folder, 5)
    commit(folder, "main")
    return folder
