"""One list of the images that a person should look at, each with its reasons, the worst first."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import pandas as pd

from tools.reviewing import label_quality, likeness

NEAR_DUPLICATE = 0.9  # similarity; photos of different things stay under 0.8
FAR = 3.0  # deviations below the median similarity of all images to their class
COMMON = 0.05  # fraction of the images; what more of them have is the set's nature and no fault
FEW_AGREE = 0.8  # of the labels; texts that agree with fewer do not know these classes
WRONG, BY_TEXT, DUPLICATE, UNLIKE, POOR = range(5)  # kinds of reasons, in the order of the list


class Finding(NamedTuple):
    """An image to look at: its row, why, the likelier class or "", and a row to compare or -1."""

    row: int
    reasons: list[str]
    suggested: str
    other: int


class _Sign(NamedTuple):
    row: int
    reason: str
    suggested: str = ""
    other: int = -1


def rank(
    rows: pd.DataFrame,
    features: np.ndarray,
    groups: np.ndarray,
    poor: list[list[str]],
    by_text: np.ndarray | None = None,
) -> list[Finding]:
    """Rank `rows` of the manifest; a Finding's rows are positions in them.

    features: float32 (n, channels), groups: int (n,), poor: what is poor about each image. by_text:
    probabilities of the classes, sorted, by their texts (n, k), if there are any. First come likely
    wrong labels, then those that the texts doubt, near-duplicates across classes, images unlike
    their class, and poor images. An image comes once, at its first place, with all its reasons.
    """
    names, classes = np.unique(rows["label"], return_inverse=True)
    like = likeness.compare(features, classes, groups)
    heads = label_quality.out_of_fold(features, classes, groups)
    kinds = {
        WRONG: _wrong(names, classes, (heads + like.votes) / 2),
        BY_TEXT: [] if by_text is None else _by_text(names, classes, by_text),
        DUPLICATE: _rare(_duplicates(rows, like), len(rows)),
        UNLIKE: _rare(_unlike(like), len(rows)),
        POOR: _poor(poor),
    }
    found = defaultdict(list)
    for kind in sorted(kinds):
        for sign in kinds[kind]:
            found[sign.row].append(sign)
    return [
        Finding(
            row,
            [sign.reason for sign in signs],
            next((sign.suggested for sign in signs if sign.suggested), ""),
            next((sign.other for sign in signs if sign.other >= 0), -1),
        )
        for row, signs in found.items()
    ]


def _wrong(names: np.ndarray, classes: np.ndarray, probabilities: np.ndarray) -> list[_Sign]:
    signs = []
    for row in label_quality.suspects(classes, probabilities):
        likely, own = probabilities[row].argmax(), classes[row]
        given, best = (f"{names[each]} {probabilities[row, each]:.0%}" for each in (own, likely))
        if likely == own:
            signs.append(_Sign(int(row), f"label in doubt: {given}"))
        else:
            signs.append(_Sign(int(row), f"label in doubt: {given}, {best}", str(names[likely])))
    return signs


def _by_text(names: np.ndarray, classes: np.ndarray, probabilities: np.ndarray) -> list[_Sign]:
    likely = probabilities.argmax(axis=1)
    if (likely == classes).mean() < FEW_AGREE:
        return []
    own, other = probabilities[np.arange(len(classes)), classes], np.flatnonzero(likely != classes)
    signs = []
    for row in other[np.argsort(own[other], kind="stable")]:
        best = names[likely[row]]
        given = f"{names[classes[row]]} {own[row]:.0%}"
        reason = f"label in doubt by its text: {given}, {best} {probabilities[row].max():.0%}"
        signs.append(_Sign(int(row), reason, str(best)))
    return signs


def _duplicates(rows: pd.DataFrame, like: likeness.Likeness) -> list[_Sign]:
    near = np.flatnonzero(like.other_similarity >= NEAR_DUPLICATE)
    order = near[np.argsort(-like.other_similarity[near], kind="stable")]
    paths, labels = rows["path"].to_numpy(), rows["label"].to_numpy()
    return [
        _Sign(
            int(row), f"nearly the same as {paths[other]} of class {labels[other]}", "", int(other)
        )
        for row, other in zip(order, like.other[order])
    ]


def _unlike(like: likeness.Likeness) -> list[_Sign]:
    known = like.own[np.isfinite(like.own)]
    if not len(known):
        return []
    middle = np.median(known)
    deviation = 1.4826 * np.median(np.abs(known - middle))  # of a normal distribution
    far = np.flatnonzero(like.own < middle - FAR * deviation)
    order = far[np.argsort(like.own[far], kind="stable")]
    return [_Sign(int(row), "unlike the other images of its class") for row in order]


def _poor(poor: list[list[str]]) -> list[_Sign]:
    of_kind = defaultdict(list)
    for row, said in enumerate(poor):
        for each in said:
            of_kind["shape" if "pixels" in each else each].append(_Sign(row, each))
    return [sign for signs in of_kind.values() for sign in _rare(signs, len(poor))]


def _rare(signs: list[_Sign], images: int) -> list[_Sign]:
    return signs if len(signs) <= max(COMMON * images, 1) else []
