"""How far an answer can be trusted: `python -m benchmarks.calibration FIRST.zip SECOND.zip`.

Heads with the settings of params.yaml are trained on the cached features of both sets at 160 px,
one for each seed, and calibrated on the validation images, as the stage calibrate does it. Of the
test images, it gives accuracy and calibration error before and after; the same error of answers
that are exactly as good as they say, which few images do not bring to 0; how well images of the
other set are told from known ones, and how many known ones are refused. Of the second set it trains
heads without one of its classes, too, and asks them for that class. With --fine-tuned it runs the
whole pipeline as well, once for each seed. Writes benchmarks/calibration.json.
"""

import argparse
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from benchmarks import clone
from benchmarks.recipes import DEFAULT
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.calibration import temperature, unknown
from thaw.evaluation import metrics
from thaw.evaluation.run_result import RunResult
from thaw.features import arrays
from thaw.models.settings import Head
from thaw.project import params, paths
from thaw.project.cli import run
from thaw.training import head_training
from thaw.training.head_training import HeadData
from thaw.training.settings import Loss, Training

DRAWS = 200  # of the labels of exact answers
KNOWN = 0.95


def answers(data: HeadData, seed: int, scratch: Path) -> np.ndarray:
    """Train a head; return the probabilities (n, k) that it gives all rows."""
    settings = params.load(Training, "train_head").model_copy(update={"seed": seed})
    spec, loss = params.load(Head, "head"), params.load(Loss, "loss")
    with redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory(dir=scratch) as log:
        head, _ = head_training.train(data, spec, loss, settings, Path(log) / "log")
    return metrics.to_probabilities(head.predict(data.inputs, verbose=0))


def of_run(folder: Path) -> HeadData:
    """Return what a head is trained on, of a run up to its features."""
    result = RunResult(folder)
    features = arrays.load(folder / paths.FEATURES, arrays.POOLING, len(result.rows))
    return HeadData(np.array(features), None, result.truth, result.split, result.classes)


def without(data: HeadData, label: int) -> HeadData:
    """Return the same without the images of a class, in training and validation."""
    kept = data.classes != label
    names = [name for number, name in enumerate(data.names) if number != label]
    classes = (data.classes - (data.classes > label)).astype("int32")
    return data._replace(
        classes=classes, names=names, split=data.split.where(kept, "left out").copy()
    )


def rows_of(data: HeadData, split: str) -> np.ndarray:
    return np.flatnonzero(data.split == split)


def calibration(data: HeadData, probabilities: np.ndarray) -> dict[str, float]:
    """Return accuracy and calibration error of the test images, before and after."""
    validation, test = rows_of(data, "validation"), rows_of(data, "test")
    truth, before = data.classes[test], probabilities[test]
    fitted = temperature.fit(data.classes[validation], probabilities[validation])
    after = temperature.apply(before, fitted)
    random, errors = np.random.default_rng(0), []
    for _ in range(DRAWS):
        drawn = (random.random((len(after), 1)) > after.cumsum(axis=1)[:, :-1]).sum(axis=1)
        errors.append(metrics.calibration_error(metrics.reliability(drawn, after)))
    return {
        "temperature": round(fitted, 3),
        "accuracy": round(float((before.argmax(axis=1) == truth).mean()), 4),
        "accuracy_after": round(float((after.argmax(axis=1) == truth).mean()), 4),
        "ece": metrics.proper_scores(truth, before)["ece"],
        "ece_after": metrics.proper_scores(truth, after)["ece"],
        "ece_of_exact_answers": round(float(np.mean(errors)), 4),
    }


def detection(
    data: HeadData, probabilities: np.ndarray, others: np.ndarray, of_others: np.ndarray
) -> dict[str, float]:
    """Return how well other images are told from the test images, by features and probabilities."""
    train, validation, test = (rows_of(data, part) for part in ("train", "validation", "test"))
    known = unknown.fit(
        data.inputs[unknown.some(train)], data.inputs[validation], probabilities[validation], KNOWN
    )
    scores = known.score(data.inputs[test], probabilities[test]), known.score(others, of_others)
    truth = np.repeat([0, 1], [len(each) for each in scores])
    return {
        "auroc": round(float(roc_auc_score(truth, np.concatenate(scores))), 4),
        "refused_known": round(float(known.is_unknown(scores[0]).mean()), 4),
        "refused_unknown": round(float(known.is_unknown(scores[1]).mean()), 4),
    }


def heads(names: list[str], sets: list[HeadData], seed: int, scratch: Path) -> Iterator[dict]:
    """Yield a row for each head of a seed: what it was asked, and what was found."""
    for number, (name, data, other) in enumerate(zip(names, sets, sets[::-1])):
        both = data._replace(
            inputs=np.concatenate([data.inputs, other.inputs[rows_of(other, "test")]]),
            classes=np.pad(data.classes, (0, len(rows_of(other, "test")))),
            split=pd.concat([data.split, other.split[other.split == "test"].map(lambda _: "other")],
                            ignore_index=True),
        )  # fmt: skip
        given, outside = answers(both, seed, scratch), rows_of(both, "other")
        yield {
            "model": f"head, {name}",
            "unknown": names[1 - number],
            **calibration(both, given),
            **detection(both, given, both.inputs[outside], given[outside]),
        }
    for label, left in enumerate(sets[1].names):
        part = without(sets[1], label)
        asked = np.flatnonzero((sets[1].classes == label) & (sets[1].split == "test"))
        given = answers(part, seed, scratch)
        found = detection(part, given, part.inputs[asked], given[asked])
        yield {"model": f"head, {names[1]} without {left}", "unknown": left, **found}


def fine_tuned(source: Path, seed: int, scratch: Path) -> dict:
    """Run the whole pipeline up to the test scores; return a row of the fine-tuned network."""
    folder = scratch / f"{source.stem}-{seed}"
    seeds = {"train_head": {"seed": seed}, "fine_tune": {"seed": seed}}
    clone.make(folder, {**DEFAULT, "data": {"source": str(source.resolve())}, **seeds})
    clone.repro(folder, ["evaluate"])
    scores = json.loads((folder / paths.TEST).read_text(encoding="utf-8"))
    found = scores["fine_tuned"]
    return {
        "model": f"fine-tuned, {source.stem}",
        "accuracy_after": found["accuracy"],
        "ece": found["uncalibrated"]["ece"],
        "ece_after": found["ece"],
        "refused_known": scores["refused"]["unknown"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fine-tuned", type=int, default=0, metavar="SEEDS")
    options = parser.parse_args()
    rows, names = [], [source.stem for source in options.sources]
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        for source in options.sources:
            changes = {**DEFAULT, "data": {"source": str(source.resolve())}}
            clone.make(scratch / source.stem, changes)
            clone.repro(scratch / source.stem, ["split", "extract"])
        sets = [of_run(scratch / name) for name in names]
        for seed in range(1, options.seeds + 1):
            rows += [{"seed": seed, **row} for row in heads(names, sets, seed, scratch)]
        for seed in range(1, options.fine_tuned + 1):
            rows += [{"seed": seed, **fine_tuned(each, seed, scratch)} for each in options.sources]
    save("calibration", rows)
    print(block("calibration"))


if __name__ == "__main__":
    run(main)
