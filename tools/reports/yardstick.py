"""Whether two runs were tested on the same images with the same labels."""

import pandas as pd

from tools.revisions.run_revision import Revision


def moved(before: Revision, after: Revision) -> str:
    """Say what differs between the test sets of two runs, "" for nothing.

    By the digests of both in metrics/split.json, which runs of earlier versions lack. Where the
    predictions of both are there, these say what differs: images are told by their paths there.
    """
    digests = {each.test_set for each in (before, after)}
    known = None not in digests
    if known and len(digests) == 1:
        return ""
    tables = before.predictions, after.predictions
    if any(table is None for table in tables):
        said = ["its images or their labels are others"] if known else []
    else:
        said = _differences(*tables) or (["its images are others"] if known else [])
    if not said:
        return ""
    sentence = f"The yardstick has moved: of the test set, {'; '.join(said)}."
    counts = {name: value for name, value in after.corrections.items() if value}
    if after.corrections != before.corrections and counts:
        told = ", ".join(f"{value:,} {name}" for name, value in counts.items())
        sentence += f" Corrections in {after.name}: {told}."
    return f"{sentence} Scores of the two are not of the same test."


def _differences(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    both = before.merge(after, on="path", how="outer", suffixes=("", "_after"), indicator=True)
    counts = {
        "{} images have another label": (both["_merge"] == "both")
        & (both["label"] != both["label_after"]),
        "{} images are gone": both["_merge"] == "left_only",
        "{} images are new": both["_merge"] == "right_only",
    }
    return [
        text.format(f"{int(chosen.sum()):,}") for text, chosen in counts.items() if chosen.any()
    ]
