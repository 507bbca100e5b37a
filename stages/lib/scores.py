"""Score predictions on the test set, with the uncertainty that comes from its size."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.special import expit, softmax
from scipy.stats import binomtest
from sklearn.metrics import f1_score, log_loss, recall_score, roc_auc_score, roc_curve

from stages.lib import manifest
from stages.lib.errors import UserError
from stages.lib.params import Section

DIGITS = 4  # of every score that is written
PROBABILITY_DIGITS = 6


class Evaluate(Section):
    """How test results are reported."""

    confidence: Annotated[float, Field(gt=0, lt=1)]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Turn logits (n, 1) of two classes, or (n, k) of k > 2, into probabilities float64 (n, k)."""
    logits = np.asarray(logits, "float64")
    if logits.shape[1] == 1:
        second = expit(logits)
        return np.hstack([1 - second, second])
    return softmax(logits, axis=1)


def score(truth: np.ndarray, chances: np.ndarray, confidence: float) -> dict[str, float]:
    """Score probabilities (n, k) against the true classes int (n,); all k classes must occur.

    Returns accuracy with its interval by Wilson's score method (Wilson 1927) as accuracy_low and
    accuracy_high, loss (cross-entropy in nats), macro_f1, and roc_auc (each class against the rest,
    mean over classes), rounded.
    """
    predicted = chances.argmax(axis=1)
    hits = int((predicted == truth).sum())
    interval = binomtest(hits, len(truth)).proportion_ci(confidence, method="wilson")
    two = chances.shape[1] == 2
    values = {
        "accuracy": hits / len(truth),
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        "loss": log_loss(truth, chances, labels=range(chances.shape[1])),
        "macro_f1": f1_score(truth, predicted, average="macro"),
        "roc_auc": roc_auc_score(truth, chances[:, 1] if two else chances, multi_class="ovr"),
    }
    return {name: round(float(value), DIGITS) for name, value in values.items()}


def gain(truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Compare two models on the same pictures; all three int (n,).

    Returns the gain in accuracy, how many pictures the second model mends and breaks, and the exact
    two-sided p-value of McNemar's test (McNemar 1947) that both are equally likely.
    """
    mended = int(((before != truth) & (after == truth)).sum())
    broken = int(((before == truth) & (after != truth)).sum())
    changed = mended + broken
    p_value = binomtest(mended, changed).pvalue if changed else 1.0
    return {
        "accuracy": round((mended - broken) / len(truth), DIGITS),
        "mended": mended,
        "broken": broken,
        "p_value": float(f"{p_value:.{DIGITS}g}"),
    }


def compare(
    truth: np.ndarray, by_head: np.ndarray, by_whole: np.ndarray, confidence: float
) -> dict[str, dict[str, float]]:
    """Return the scores of both models and their gain, from probabilities (n, k) of each."""
    return {
        "head": score(truth, by_head, confidence),
        "fine_tuned": score(truth, by_whole, confidence),
        "gain": gain(truth, by_head.argmax(axis=1), by_whole.argmax(axis=1)),
    }


def summary(table: dict[str, dict[str, float]]) -> str:
    """Say in a few lines what `compare` found."""
    head, tuned, gained = table["head"], table["fine_tuned"], table["gain"]
    lines = [f"{'':<10}  {'test accuracy':<26}   loss"]
    for name, found in (("head", head), ("fine_tuned", tuned)):
        interval = f"({found['accuracy_low']:.4f} to {found['accuracy_high']:.4f})"
        lines.append(f"{name:<10}   {found['accuracy']:.4f} {interval:<18}   {found['loss']:.4f}")
    change = f"{gained['mended']} mended, {gained['broken']} broken, p = {gained['p_value']:.3g}"
    loss = tuned["loss"] - head["loss"]
    lines.append(f"{'gain':<10}  {gained['accuracy']:+.4f} {'':<18}  {loss:+.4f}  {change}")
    return "\n".join(lines)


def recall_by_class(
    truth: np.ndarray, guesses: dict[str, np.ndarray], classes: list[str]
) -> pd.DataFrame:
    """Return class, pictures, and by model its recall on that class, in the classes' order."""
    labels = range(len(classes))
    table = {"class": classes, "pictures": np.bincount(truth, minlength=len(classes))}
    for name, guess in guesses.items():
        recall = recall_score(truth, guess, labels=labels, average=None, zero_division=0)
        table[name] = recall.round(DIGITS)
    return pd.DataFrame(table)


def roc(truth: np.ndarray, chances: np.ndarray) -> pd.DataFrame:
    """Return the ROC curve: the mean over classes, each against the rest (Fawcett 2006).

    Columns false_positive_rate, 0 to 1 in hundredths, and true_positive_rate.
    """
    grid = np.linspace(0, 1, 101)
    curves = []
    for label in range(chances.shape[1]):
        false, true, _ = roc_curve(truth == label, chances[:, label])
        curve = np.interp(grid, false, true)
        curve[0] = 0.0
        curves.append(curve)
    table = {"false_positive_rate": grid.round(2), "true_positive_rate": np.mean(curves, axis=0)}
    return pd.DataFrame(table).round(DIGITS)


def reliability(truth: np.ndarray, chances: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return how often the model is right where it is so sure (Niculescu-Mizil and Caruana 2005).

    A row for each of `bins` equal parts of 0..1 that the probability of the predicted class falls
    into: its mean there as confidence, the share of right ones as accuracy, and pictures.
    """
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == truth
    part = np.minimum((sure * bins).astype(int), bins - 1)
    table = pd.DataFrame({"confidence": sure, "accuracy": right, "pictures": 1})
    grouped = table.groupby(part)
    found = grouped[["confidence", "accuracy"]].mean().round(DIGITS)
    return found.assign(pictures=grouped["pictures"].sum()).reset_index(drop=True)


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error of what `reliability` gave (Guo and others 2017).

    That is the mean difference, over the pictures, of each part's confidence and accuracy, 0 to 1.
    """
    difference = (table["accuracy"] - table["confidence"]).abs()
    return float(np.average(difference, weights=table["pictures"]))


def confusion(truth: np.ndarray, guess: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return actual and predicted class by picture, sorted, as DVC's confusion plot reads it."""
    names = np.array(classes, dtype=object)
    table = pd.DataFrame({"actual": names[truth], "predicted": names[guess]})
    return table.sort_values(["actual", "predicted"])


def predictions(
    rows: pd.DataFrame, guesses: dict[str, np.ndarray], chances: np.ndarray, classes: list[str]
) -> pd.DataFrame:
    """Return path, label, each model's class, and the probabilities (n, k) as p(CLASS)."""
    table = rows[["path", "label"]].reset_index(drop=True)
    for name, guess in guesses.items():
        table[name] = np.array(classes, dtype=object)[guess]
    columns = [f"p({name})" for name in classes]
    return table.join(pd.DataFrame(chances.round(PROBABILITY_DIGITS), columns=columns))


def read_predictions(path: Path, rows: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """Return the probabilities float64 (n, k) that `predictions` gave of these `rows`.

    Raises UserError when the file is missing or of other pictures or classes.
    """
    table = manifest.read(path)
    columns = [f"p({name})" for name in classes]
    if (
        table["path"].tolist() != rows["path"].tolist()
        or [*table.columns[-len(columns) :]] != columns
    ):
        raise UserError(f"{path} is not of this split; run `dvc repro evaluate`")
    return table[columns].to_numpy("float64")
