"""Which of many experiments is the best on validation; test images have no say."""

from collections.abc import Iterable, Sequence

import pandas as pd

from thaw.project.errors import UserError
from tools.experiments import dvc_experiments, plan

TRAIN_HEAD, FINE_TUNE = "train_head", "fine_tune"
INCOMPARABLE = ("loss.", "head.regularization")  # what is part of the loss itself


def scored(stages: Sequence[plan.Stage], until: str) -> str:
    """Return whose scores rank: of fine_tune, or of train_head where the runs end before it.

    Raises UserError when they end before that.
    """
    names = {stage.name for stage in stages}
    if TRAIN_HEAD not in names:
        raise UserError(
            f"--until {until}: nothing is scored by then; take {TRAIN_HEAD} or a later one"
        )
    return FINE_TUNE if FINE_TUNE in names else TRAIN_HEAD


def metric(keys: Iterable[str]) -> str:
    """Return what to rank by where these params differ: loss or accuracy.

    Accuracy where settings of the loss itself differ, as the losses say different things then.
    """
    return "accuracy" if any(key.startswith(INCOMPARABLE) for key in keys) else "loss"


def table(
    changes: dict[str, dict[str, object]], stage: str, by: str, reveal: bool = False
) -> pd.DataFrame:
    """Return a row for each experiment with what `stage` scored on validation, the best first.

    `changes`: of each experiment by its name. `by`: loss or accuracy. `reveal`: has the test
    accuracy as well.
    """
    rows = []
    for name, changed in changes.items():
        row = {"experiment": name, **changed, **dvc_experiments.best(name, stage)}
        if reveal:
            row["test"] = dvc_experiments.read("metrics/test.json", name)["fine_tuned"]["accuracy"]
        rows.append(row)
    found = pd.DataFrame(rows)
    return found.sort_values(by, ascending=by == "loss", kind="stable")


def report(found: pd.DataFrame, tried: int) -> str:
    """Return what is printed of a table, when so many configurations were tried in all."""
    best = found.iloc[0]
    validation = dvc_experiments.validation_images(best["experiment"])
    chance = dvc_experiments.chance(best["accuracy"], validation)
    formats = {"accuracy": "{:.4f}".format, "loss": "{:.4f}".format, "test": "{:.4f}".format}
    return (
        f"{found.to_string(index=False, formatters=formats)}\n"
        f"{tried} configurations tried on {validation} validation images;\nthe best of many "
        f"flatters itself, and differences in accuracy under {chance:.4f} may well be chance\n"
        f"`dvc exp apply {best['experiment']}` takes the first into the workspace"
    )
