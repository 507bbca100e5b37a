"""What a review of labels finds: `python -m benchmarks.review FOLDER_OR_ARCHIVE...`.

In a clone for each, at 160 px, after `dvc repro extract augment`, it times
`python -m tools.review --list`. Then it gives 5 % of the training labels another class at
random, five times: of the first 5 % of the training images in the review's order, how many are
swapped ones; and how good heads are with swapped labels, with those corrected that are among the
first 5 %, and with clean ones, on validation and test images together. Writes
benchmarks/review.json.
"""

import argparse
import io
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from benchmarks import clone, recipes
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.data import duplicates, manifest
from thaw.evaluation import metrics
from thaw.features import arrays
from thaw.models.settings import Head
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.training import head_training
from thaw.training.head_training import HeadData, HeadFiles
from thaw.training.settings import Loss, Training
from tools.reviewing import ranking

FRACTION, SEEDS = 0.05, range(5)


def swapped(classes: np.ndarray, train: np.ndarray, seed: int) -> np.ndarray:
    """Return `classes` with FRACTION of the rows `train` in another one, each as likely."""
    random, count = np.random.default_rng(seed), classes.max() + 1
    chosen = random.choice(train, round(FRACTION * len(train)), replace=False)
    given = classes.copy()
    given[chosen] = (classes[chosen] + random.integers(1, count, len(chosen))) % count
    return given


def first(rows: pd.DataFrame, groups: np.ndarray, split: pd.Series, given: np.ndarray) -> list[int]:
    """Return the first FRACTION of the training rows in the order of the review."""
    seen = np.flatnonzero(split.isin(["train", "validation"]))
    features = arrays.take(arrays.load(paths.FEATURES, arrays.POOLING, len(rows)), seen)
    names = np.array(manifest.classes(rows))
    labelled = rows.iloc[seen].assign(label=names[given[seen]]).reset_index(drop=True)
    with redirect_stderr(io.StringIO()):
        found = ranking.rank(labelled, features, groups[seen], [[] for _ in seen])
    order = [seen[each.row] for each in found if split[seen[each.row]] == "train"]
    return order[: round(FRACTION * (split == "train").sum())]


def accuracy(given: np.ndarray, truth: np.ndarray, split: pd.Series, names: list[str]) -> float:
    """Train a head as train_head does on labels `given`; score it on what it does not train on."""
    spec, settings = params.load(Head, "head"), params.load(Training, "train_head")
    places = HeadFiles(paths.FEATURES, paths.AUGMENTED_COPIES, files.sha256(paths.SPLIT))
    features = head_training.load_features(places, spec.pooling, split, settings.seed)
    data = HeadData(*features, given, split, names)
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(io.StringIO()):
        loss = params.load(Loss, "loss")
        head, _ = head_training.train(data, spec, loss, settings, Path(scratch) / "log")
    judged = np.flatnonzero(split.isin(["validation", "test"]))
    logits = head.predict(data.inputs[judged], verbose=0)  # one of two classes
    guess = metrics.to_probabilities(logits).argmax(axis=1)
    return float((guess == truth[judged]).mean())


def of_seeds() -> dict[str, list[float] | float]:
    """Measure in the current folder, after its stages up to augment."""
    rows = manifest.read(paths.MANIFEST)
    split, truth = manifest.read_split(paths.SPLIT, rows), manifest.class_indices(rows)
    groups, names = duplicates.group(rows, 12).of, manifest.classes(rows)
    found = {"found": [], "dirty": [], "corrected": []}
    for seed in SEEDS:
        given = swapped(truth, np.flatnonzero(split == "train"), seed)
        looked_at = first(rows, groups, split, given)
        found["found"].append(float((given != truth)[looked_at].mean()))
        corrected = given.copy()
        corrected[looked_at] = truth[looked_at]
        found["dirty"].append(accuracy(given, truth, split, names))
        found["corrected"].append(accuracy(corrected, truth, split, names))
    return found | {"clean": accuracy(truth, truth, split, names)}


def measure(folder: Path) -> dict[str, object]:
    cost = clone.measure(folder, "tools.review", "--list")
    with chdir(folder):
        images, found = len(manifest.read(paths.MANIFEST)), of_seeds()
    return {
        "images": images,
        "seconds": round(cost.seconds, 1),
        "processor_seconds": round(cost.processor_seconds, 1),
        **{name: np.round(values, 4).tolist() for name, values in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="+")
    results = {}
    for source in parser.parse_args().sources:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "clone"
            clone.make(folder, recipes.DEFAULT | {"data": {"source": str(source.resolve())}})
            clone.repro(folder, ["extract", "augment"])
            results[source.stem] = measure(folder)
        print(source.stem, results[source.stem], flush=True)
    save("review", results)
    print(block("review"))


if __name__ == "__main__":
    run(main)
