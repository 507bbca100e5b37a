"""Scores of predictions, with the uncertainty that comes from the number of images.

sklearn and scipy.stats are imported where they are used: they take a second to load, and who only
wants `to_probabilities` needs neither.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from thaw.data import manifest
from thaw.project.errors import UserError

DIGITS = 4  # of every score that is written
PROBABILITY_DIGITS = 6
BINS = 15  # of confidence, as in Guo and others 2017


def to_probabilities(logits: np.ndarray) -> np.ndarray:
    """Turn logits (n, 1) of two classes, or (n, k) of k > 2, into probabilities float64 (n, k)."""
    logits = np.asarray(logits, "float64")
    if logits.shape[1] == 1:
        return np.hstack([expit(-logits), expit(logits)])
    return softmax(logits, axis=1)


def score(truth: np.ndarray, probabilities: np.ndarray, confidence: float) -> dict[str, float]:
    """Score probabilities (n, k) against the true classes int (n,); all k classes must occur.

    Returns rounded values: accuracy; accuracy_low and accuracy_high, its interval by Wilson's score
    method (Wilson 1927); macro_f1; roc_auc, the mean over classes of each against the rest; and
    those of `proper_scores`.
    """
    from sklearn.metrics import f1_score, roc_auc_score

    predicted = probabilities.argmax(axis=1)
    two = probabilities.shape[1] == 2
    values = {
        "macro_f1": f1_score(truth, predicted, average="macro"),
        "roc_auc": roc_auc_score(
            truth, probabilities[:, 1] if two else probabilities, multi_class="ovr"
        ),
    }
    rounded = {name: round(float(value), DIGITS) for name, value in values.items()}
    return accuracy(truth, predicted, confidence) | rounded | proper_scores(truth, probabilities)


def accuracy(truth: np.ndarray, predicted: np.ndarray, confidence: float) -> dict[str, float]:
    """Return accuracy, accuracy_low and accuracy_high of classes int (n,), as `score` does."""
    correct = int((predicted == truth).sum())
    low, high = wilson(correct, len(truth), confidence)
    values = {"accuracy": correct / len(truth), "accuracy_low": low, "accuracy_high": high}
    return {name: round(value, DIGITS) for name, value in values.items()}


def proper_scores(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Score probabilities (n, k) themselves, not only the predicted classes; rounded.

    loss: the cross-entropy in nats; brier: the mean squared distance from the true class, summed
    over classes, 0 to 2 (Brier 1950); ece: the expected calibration error.
    """
    from sklearn.metrics import log_loss

    of_truth = probabilities[np.arange(len(truth)), truth]
    values = {
        "loss": log_loss(truth, probabilities, labels=range(probabilities.shape[1])),
        "brier": ((probabilities**2).sum(axis=1) - 2 * of_truth + 1).mean(),
        "ece": calibration_error(reliability(truth, probabilities)),
    }
    return {name: round(float(value), DIGITS) for name, value in values.items()}


def wilson(correct: int, images: int, confidence: float) -> tuple[float, float]:
    """Return the interval of correct / images by Wilson's score method; (0, 1) for no image."""
    from scipy.stats import binomtest

    if not images:
        return 0.0, 1.0
    interval = binomtest(correct, images).proportion_ci(confidence, method="wilson")
    return interval.low, interval.high


def gain(truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Compare two models on the same images; all three int (n,).

    Returns accuracy, the difference; fixed, how many images only the second model gets right;
    regressed, how many only the first one does; and p_value, the exact two-sided one of McNemar's
    test (McNemar 1947) that both are equally likely.
    """
    from scipy.stats import binomtest

    fixed = int(((before != truth) & (after == truth)).sum())
    regressed = int(((before == truth) & (after != truth)).sum())
    changed = fixed + regressed
    p_value = binomtest(fixed, changed).pvalue if changed else 1.0
    return {
        "accuracy": round((fixed - regressed) / len(truth), DIGITS),
        "fixed": fixed,
        "regressed": regressed,
        "p_value": float(f"{p_value:.{DIGITS}g}"),
    }


def compare(
    truth: np.ndarray,
    head_probabilities: np.ndarray,
    fine_tuned_probabilities: np.ndarray,
    confidence: float,
) -> dict[str, dict[str, float]]:
    """Return the scores of both models and their gain, from probabilities (n, k) of each."""
    return {
        "head": score(truth, head_probabilities, confidence),
        "fine_tuned": score(truth, fine_tuned_probabilities, confidence),
        "gain": gain(
            truth, head_probabilities.argmax(axis=1), fine_tuned_probabilities.argmax(axis=1)
        ),
    }


def headline(table: dict[str, dict[str, float]], split: pd.Series) -> dict:
    """Return the few numbers of a run that DVC compares with those of others.

    They are both test accuracies, the gain and the fine-tuned calibration error, of what `compare`
    gave, and how many images each split has. Their names are short, so that `dvc exp show` fits a
    terminal.
    """
    return {
        "head_test_acc": table["head"]["accuracy"],
        "test_acc": table["fine_tuned"]["accuracy"],
        "gain": table["gain"]["accuracy"],
        "ece": table["fine_tuned"]["ece"],
        "images": {name: int((split == name).sum()) for name in manifest.SPLITS},
    }


def models(table: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Return the scores of each model, the baseline's first, where a run has noted them."""
    return table.get("baseline", {}) | {name: table[name] for name in ("head", "fine_tuned")}


def summary(table: dict[str, dict]) -> str:
    """Return in a few lines what `compare` found, after the baseline where the table has it."""
    head, tuned, gained = table["head"], table["fine_tuned"], table["gain"]
    lines = [f"{'':<10}  {'test accuracy':<26}   loss"]
    for name, found in models(table).items():
        interval = f"({found['accuracy_low']:.4f} to {found['accuracy_high']:.4f})"
        loss = f"{found['loss']:.4f}" if "loss" in found else "without training"
        lines.append(f"{name:<10}   {found['accuracy']:.4f} {interval:<18}   {loss}")
    changed = f"{gained['fixed']} fixed, {gained['regressed']} regressed"
    change = f"{changed}, p = {gained['p_value']:.3g}"
    loss = tuned["loss"] - head["loss"]
    lines.append(f"{'gain':<10}  {gained['accuracy']:+.4f} {'':<18}  {loss:+.4f}  {change}")
    return "\n".join(lines)


def calibration_summary(scores: dict) -> str:
    """Return on a line what calibration changed, by a model's scores."""
    before = scores["uncalibrated"]
    changes = [f"{name} {before[name]:.4f} -> {scores[name]:.4f}" for name in ("ece", "loss")]
    return f"calibration, fine-tuned: {', '.join(changes)}"


def roc(truth: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return the ROC curve: the mean over classes, each against the rest (Fawcett 2006).

    Columns false_positive_rate, 0 to 1 in hundredths, and true_positive_rate.
    """
    from sklearn.metrics import roc_curve

    grid = np.linspace(0, 1, 101)
    curves = []
    for label in range(probabilities.shape[1]):
        false, true, _ = roc_curve(truth == label, probabilities[:, label])
        curve = np.interp(grid, false, true)
        curve[0] = 0.0
        curves.append(curve)
    table = {"false_positive_rate": grid.round(2), "true_positive_rate": np.mean(curves, axis=0)}
    return pd.DataFrame(table).round(DIGITS)


def reliability(truth: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Return the accuracy by confidence (Niculescu-Mizil and Caruana 2005).

    0..1 is cut into `bins` equal parts; there is a row for each in which a probability of a
    predicted class lies. Columns: confidence, the mean of these probabilities; accuracy; images.
    """
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    part = np.minimum((confidence * bins).astype(int), bins - 1)
    table = pd.DataFrame({"confidence": confidence, "accuracy": correct, "images": 1})
    grouped = table.groupby(part)
    found = grouped[["confidence", "accuracy"]].mean().round(DIGITS)
    return found.assign(images=grouped["images"].sum()).reset_index(drop=True)


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error of what `reliability` gave (Guo and others 2017).

    It is the mean over the images of |confidence - accuracy| of their part, 0 to 1.
    """
    difference = (table["accuracy"] - table["confidence"]).abs()
    return float(np.average(difference, weights=table["images"]))


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return actual and predicted class of each image, sorted, as DVC's confusion plot reads it."""
    names = np.array(classes, dtype=object)
    table = pd.DataFrame({"actual": names[truth], "predicted": names[predicted]})
    return table.sort_values(["actual", "predicted"])


def predictions(
    rows: pd.DataFrame,
    predicted: dict[str, np.ndarray],
    probabilities: np.ndarray,
    classes: list[str],
) -> pd.DataFrame:
    """Return path, label, each model's predicted class, and probabilities (n, k) as p(CLASS)."""
    table = rows[["path", "label"]].reset_index(drop=True)
    for name, each in predicted.items():
        table[name] = np.array(classes, dtype=object)[each]
    columns = [f"p({name})" for name in classes]
    return table.join(pd.DataFrame(probabilities.round(PROBABILITY_DIGITS), columns=columns))


def read_predictions(path: Path, rows: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """Return the probabilities float64 (n, k) that `predictions` gave of these `rows`.

    Raises UserError when the file is missing or of other images or classes.
    """
    columns = [f"p({name})" for name in classes]
    table = manifest.read_table(path, columns)
    same_images = table["path"].tolist() == rows["path"].tolist()
    if not same_images or [*table.columns[-len(columns) :]] != columns:
        raise UserError(f"{path} is not of this split", hint="run `dvc repro evaluate`")
    return table[columns].to_numpy()
