"""How good the classifier is, in the model card: scores of the test images, and by class."""

import pandas as pd

from thaw.evaluation.class_choice import worst_and_largest
from thaw.evaluation.metrics import BINS, calibration_error
from thaw.evaluation.run_result import RunResult
from thaw.export import markdown

CLASSES = 40  # at most, in the table by class


def written(run: RunResult, confidence: float) -> str:
    """Return the section: all test scores, those of each class, and calibration."""
    scores = run.test_scores["fine_tuned"]
    interval = f"{scores['accuracy_low']:.4f} to {scores['accuracy_high']:.4f}"
    measured = pd.DataFrame(
        [
            ["accuracy", f"{scores['accuracy']:.4f} ({interval})"],
            ["cross-entropy", f"{scores['loss']:.4f}"],
            ["F1, mean over classes", f"{scores['macro_f1']:.4f}"],
            ["area under ROC, mean over classes", f"{scores['roc_auc']:.4f}"],
        ],
        columns=["of the test images", ""],
    )
    return (
        f"{markdown.table(measured)}\n\nIn brackets is Wilson's interval of {100 * confidence:g} "
        "%; the fewer test images, the wider it is. These are the scores of the Keras format; see "
        f"Files for the others. {_baseline(run.test_scores)}\n\n{_by_class(run)}\n\n"
        f"{_calibration(run.reliability)}"
    )


def _baseline(scores: dict) -> str:
    """Return what the frozen features gave without training, "" where a run has not noted it."""
    if "baseline" not in scores:
        return ""
    found = {name: f"{each['accuracy']:.4f}" for name, each in scores["baseline"].items()}
    return (
        "For comparison: without any training, the pretrained network's features gave "
        f"{found['neighbours']} by nearest neighbours and {found['ridge']} by ridge regression."
    )


def _by_class(run: RunResult) -> str:
    """Return a table of images and recall by class; of more than CLASSES classes, of some."""
    table, note = run.recall, ""
    counts = pd.DataFrame([run.split_report["classes"][name] for name in table["class"]])
    if len(table) > CLASSES:
        recall = table["fine_tuned"].astype(float).to_numpy()
        worst, largest = worst_and_largest(recall, counts["test"].to_numpy(), CLASSES // 2)
        rows = [*worst, *largest]
        table, counts = table.iloc[rows], counts.iloc[rows]
        note = (
            f"Of {len(recall):,} classes these are the {len(worst)} with the lowest recall and the "
            f"{len(largest)} others with the most test images:\n\n"
        )
    recalls = table[["fine_tuned", "fine_tuned_low", "fine_tuned_high"]].astype(float)
    by_class = {
        "class": table["class"].map(markdown.code_cell).to_numpy(),
        **{part: counts[part].to_numpy() for part in ("train", "validation", "test")},
        "recall": ["{:.3f} ({:.3f} to {:.3f})".format(*each) for each in recalls.to_numpy()],
    }
    return note + markdown.table(pd.DataFrame(by_class))


def _calibration(reliability: pd.DataFrame) -> str:
    """Return how far the probabilities can be trusted."""
    gaps = (reliability["confidence"] - reliability["accuracy"]) * reliability["images"]
    gap = gaps.sum() / reliability["images"].sum()
    direction = "overconfident" if gap > 0 else "underconfident"
    return (
        "The expected calibration error on the test images is "
        f"{calibration_error(reliability):.3f} (in {BINS} bins): the mean difference between the "
        f"probability of the named class and the accuracy. On average it is {direction} by "
        f"{abs(gap):.3f}. The validation images chose the temperature of its probabilities.\n"
    )
