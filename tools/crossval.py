"""Cross-validate the head's settings on cached features:
`python -m tools.crossval -S head.dropout=0,0.2,0.5 -S train_head.learning_rate=0.001,0.01`.

-S is that of `dvc exp run`, for keys of head, loss and train_head; several values of several keys
give all combinations. The training images are cut into folds, with as many of each class in each
and no group of images (see `split`) in two. Each fold is scored by a head that is trained on the
others; the validation images choose its best epoch, as in train_head, and the test images are
not looked at. Needs the features of the last `dvc repro`.
"""

import argparse
import functools
import io
import tempfile
from contextlib import redirect_stdout
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from tqdm import tqdm

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from thaw.evaluation import metrics
from thaw.models.settings import Head
from thaw.models.text_logits import TextLogits
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.training import head_training
from thaw.training.head_training import HeadData, HeadFiles
from thaw.training.settings import Loss, Training
from tools.experiments import dvc_experiments
from tools.experiments.folds import cut
from tools.experiments.rows import Rows, read_rows

SCHEMAS = {"head": Head, "loss": Loss, "train_head": Training}


def combinations(overrides: list[str]) -> list[dict[str, object]]:
    """Return each combination of the values in "section.key=a,b" as {"section.key": value}.

    Raises UserError for what `-S` does not understand, and for other sections.
    """
    chosen = dvc_experiments.combinations(overrides)
    for key in chosen[0]:
        if key.split(".")[0] not in SCHEMAS:
            raise UserError(
                f"-S {key}: only {', '.join(SCHEMAS)} can be cross-validated on cached features; "
                "use `dvc exp run` for the others"
            )
    return chosen


def sections(changes: dict[str, object]) -> dict[str, params.Section]:
    """Return the three sections of params.yaml with the changes in them, checked."""
    values = dvc_experiments.changed(params.read(), changes)
    return {name: params.check(schema, values, name) for name, schema in SCHEMAS.items()}


def folds(rows: Rows, count: int, seed: int) -> list[np.ndarray]:
    """Return the rows of each fold, which together are the training rows.

    Raises UserError when a class has fewer groups of images than there are folds.
    """
    train = np.flatnonzero(rows.split == "train")
    groups = pd.Series(rows.groups[train]).groupby(rows.classes[train]).nunique()
    if groups.min() < count:
        raise UserError(
            f"--folds {count}: class {rows.names[groups.idxmin()]!r} has only {groups.min()} "
            "training images that are no copies of one another; ask for fewer folds"
        )
    parts = cut(rows.classes[train], rows.groups[train], count, seed)
    return [train[held_out] for held_out in parts]


class Predicted(NamedTuple):
    """What a head says of images: probabilities float64 (n, k), and the epoch it is of."""

    probabilities: np.ndarray
    epoch: int


def predict(
    rows: Rows, split: np.ndarray, asked: np.ndarray, chosen: dict[str, params.Section]
) -> Predicted:
    """Train a head on the rows that `split` calls train, and ask it of the rows `asked`."""
    spec, loss, settings = chosen["head"], chosen["loss"], chosen["train_head"]
    places = HeadFiles(paths.FEATURES, paths.AUGMENTED_COPIES, files.sha256(paths.SPLIT))
    features = head_training.load_features(
        places, spec.pooling, pd.Series(rows.split), settings.seed
    )
    data = HeadData(
        *features, rows.classes, pd.Series(split), rows.names, _texts(spec.start, *rows.names)
    )
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(io.StringIO()):
        head, best = head_training.train(data, spec, loss, settings, Path(scratch) / "log")
    # Called and not by `predict`, which would compile a function anew for each of many heads.
    logits = head(data.inputs[asked], training=False).numpy()
    return Predicted(metrics.to_probabilities(logits), best["epoch"])


@functools.cache  # for all heads
def _texts(start: str, *names: str) -> TextLogits | None:
    return head_training.load_texts(start, paths.TEXTS, paths.FEATURES, names)


def score(rows: Rows, held_out: np.ndarray, chosen: dict[str, params.Section]) -> dict[str, float]:
    """Train a head without the rows `held_out`; return its accuracy and loss on them, in nats."""
    split = rows.split.copy()
    split[held_out] = "held out"
    probabilities, epoch = predict(rows, split, held_out, chosen)
    truth = rows.classes[held_out]
    return {
        "accuracy": float((probabilities.argmax(axis=1) == truth).mean()),
        "loss": log_loss(truth, probabilities, labels=range(len(rows.names))),
        "epochs": epoch,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE,...")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1, help="cut into folds so many times")
    options = parser.parse_args()
    if options.folds < 2 or options.repeats < 1:
        raise UserError("--folds should be at least 2 and --repeats at least 1")
    changes = combinations(options.set_param)
    settings = [sections(each) for each in changes]
    rows = read_rows()
    parts = [part for seed in range(options.repeats) for part in folds(rows, options.folds, seed)]
    work = list(product(range(len(settings)), parts))
    results = [
        {"setting": number, **score(rows, part, settings[number])}
        for number, part in tqdm(work, desc="crossval", unit=" heads", disable=None)
    ]
    print(table(changes, pd.DataFrame(results)))


def table(changes: list[dict[str, object]], results: pd.DataFrame) -> str:
    """Return what is printed: a line for each setting, mean and standard deviation over folds."""
    means, spreads = (results.groupby("setting").agg(how) for how in ("mean", "std"))
    columns = {key: [each[key] for each in changes] for key in changes[0]}
    for name in ("accuracy", "loss"):
        pairs = zip(means[name], spreads[name])
        columns[name] = [f"{mean:.4f} ± {spread:.4f}" for mean, spread in pairs]
    columns["best epoch"] = means["epochs"].round(1)
    return pd.DataFrame(columns).to_string(index=False)


if __name__ == "__main__":
    run(main)
