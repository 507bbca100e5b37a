"""Whether one model is worse than another by more than a budget and more than chance explains."""

from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.stats import fisher_exact

from thaw.evaluation import metrics
from thaw.project.params import Section
from tools.revisions.run_revision import Revision

OVERLAP = 0.9  # of the larger test set that both must have, to be compared image by image
PASSES, CHANCE, FAILS = "passes", "passes, within chance", "fails"


class Budget(Section):
    """What report.yaml allows: test accuracy of `model` may fall by `max_fall`, unless p >= `p`."""

    model: Literal["head", "fine_tuned"]
    max_fall: Annotated[float, Field(ge=0, le=1)]
    p: Annotated[float, Field(gt=0, lt=1)]


class Comparison(NamedTuple):
    """Two models' accuracy: the change, how likely chance makes as much of one, and on what."""

    change: float
    p_value: float
    text: str


def paired(before: Revision, after: Revision, model: str) -> pd.DataFrame | None:
    """Return the test images that both models saw: path, label, before, after.

    None when the predictions of one are out of reach. An image is the same when its path and its
    label are.
    """
    tables = before.predictions, after.predictions
    if any(table is None for table in tables):
        return None
    first, second = (
        table[["path", "label", model]].rename(columns={model: name})
        for table, name in zip(tables, ("before", "after"))
    )
    return first.merge(second, on=["path", "label"])


def compare(before: Revision, after: Revision, model: str) -> Comparison:
    """Compare test accuracies, by McNemar's exact test on the images that both models saw.

    Where the predictions are out of reach, or the test sets have much that the other has not, by
    Fisher's exact test on both as a whole (Fisher 1922), which sees less.
    """
    sizes = [len(each.confusion) for each in (before, after)]
    both = paired(before, after, model)
    if both is not None and len(both) >= OVERLAP * max(sizes):
        gain = metrics.gain(*(both[name].to_numpy() for name in ("label", "before", "after")))
        counts = f"{gain['fixed']} fixed, {gain['regressed']} regressed"
        text = f"on {len(both)} test images of both: {counts}, p = {gain['p_value']:.2g} (McNemar)"
        return Comparison(gain["accuracy"], gain["p_value"], text)
    fractions = [each.test[model]["accuracy"] for each in (before, after)]
    correct = np.round(np.multiply(sizes, fractions)).astype(int)
    p_value = float(fisher_exact([correct, np.subtract(sizes, correct)]).pvalue)
    text = f"on {sizes[0]} and {sizes[1]} test images: p = {p_value:.2g} (Fisher)"
    return Comparison(round(fractions[1] - fractions[0], metrics.DIGITS), p_value, text)


def judge(found: Comparison, budget: Budget) -> tuple[str, str]:
    """Return PASSES, CHANCE or FAILS, and the line that says why."""
    points = f"{100 * found.change:+.1f} points"
    allowed = f"{100 * budget.max_fall:.1f}"
    how = f"test accuracy of {budget.model} {points} {found.text}"
    if found.change >= -budget.max_fall:
        verdict, why = PASSES, f"{how}; it may fall by {allowed}"
    elif found.p_value >= budget.p:
        verdict, why = CHANCE, f"{how}; more than {allowed}, but chance alone may well do that"
    else:
        verdict, why = FAILS, f"{how}; it may fall by {allowed} unless p is at least {budget.p}"
    return verdict, f"{verdict}: {why}"
