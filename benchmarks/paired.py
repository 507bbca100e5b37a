"""What the runs of benchmarks.quality say, recipe beside recipe."""

import numpy as np
import pandas as pd
from scipy import stats

BASIS = "tutorial"  # what the others are compared with


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each set of images and recipe, in the order of `rows`.

    rows: images, recipe, seed, accuracy, seconds, processor_seconds. The result has the means of
    the last three, `spread` (the standard deviation of the accuracy over seeds, NaN of one seed),
    and of the seeds that BASIS has as well: `pairs`, the mean `difference` of the accuracies with
    its interval of 95 % (`low`, `high`), and `part`, the part of its time on a processor.
    """
    found = []
    for (images, recipe), of in rows.groupby(["images", "recipe"], sort=False):
        row = {"images": images, "recipe": recipe, "seeds": len(of)}
        row |= of[["accuracy", "seconds", "processor_seconds"]].mean().to_dict()
        found.append(row | {"spread": of["accuracy"].std()} | _beside_basis(rows, of))
    return pd.DataFrame(found)


def _beside_basis(rows: pd.DataFrame, of: pd.DataFrame) -> dict[str, float]:
    basis = rows[(rows["recipe"] == BASIS) & (rows["images"] == of["images"].iloc[0])]
    pairs = of.merge(basis, on="seed", suffixes=("", "_basis"))
    difference = pairs["accuracy"] - pairs["accuracy_basis"]
    seconds = pairs[["processor_seconds", "processor_seconds_basis"]].mean()
    low, high = interval(difference.to_numpy())
    return {
        "pairs": len(pairs),
        "difference": difference.mean(),
        "low": low,
        "high": high,
        "part": seconds["processor_seconds"] / seconds["processor_seconds_basis"],
    }


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Return Student's interval of 95 % of the mean of differences (n,); NaN of fewer than two."""
    if len(differences) < 2:
        return np.nan, np.nan
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return differences.mean() - half, differences.mean() + half
