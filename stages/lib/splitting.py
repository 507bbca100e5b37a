"""Put each picture into train, validation or test by a hash of its content."""

import hashlib
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from stages.lib.duplicates import Groups
from stages.lib.errors import UserError
from stages.lib.manifest import SPLITS
from stages.lib.params import Section

Fraction = Annotated[float, Field(gt=0, le=0.5)]
ASIDE = "aside"  # in no split: another of its group is, elsewhere
STAYS = ("test", "validation", "train")  # which side keeps its pictures where as many are on each


class Split(Section):
    """How much goes where, if the source does not say, and what belongs together."""

    validation: Fraction
    test: Fraction
    test_of_validation: Fraction
    near_duplicates: Annotated[int, Field(ge=0, le=40)] | None
    on_leak: Literal["repair", "refuse"]
    seed: int

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> "Split":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test should leave pictures to train on")
        return self


def position(key: str, seed: int) -> float:
    """Return a key's place in [0, 1): the same for the same key, unrelated to any other's."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign(manifest: pd.DataFrame, groups: Groups, settings: Split) -> pd.Series:
    """Return "train", "validation", "test" or "aside" for each row of the manifest.

    `own_sides` gives each picture a side. Where a group then lies on several sides, the side with
    most of its pictures keeps them (STAYS decides between equal ones) and the others go aside. So
    no group is on two sides, and since a picture is either on its own side or aside, no picture
    that is added or removed ever moves another one from one split to another.

    Raises UserError when a class has no picture in one of the three splits, and with
    `on_leak: refuse` when the source's own splits share a group.
    """
    if settings.on_leak == "refuse":
        _check_given(manifest, groups)
    split = keep_one_side(own_sides(manifest, settings), groups.of)
    ours = set(manifest["given_split"]) != set(SPLITS)
    _check_every_class_everywhere(manifest["label"], split, ours)
    return split


def own_sides(manifest: pd.DataFrame, settings: Split) -> pd.Series:
    """Return the side of each picture by its own content: "train", "validation" or "test".

    Where the source gives no split, or train pictures only, each class is cut at the two fractions.
    Where it gives train and validation only, test is cut off validation; train and test only,
    validation off train. The hash is of the picture's group if the source names one, else of its
    file, so the share of a class that falls into a part varies around the fraction by chance.
    """
    key = manifest["sha256"].where(manifest["group"] == "", "group " + manifest["group"])
    place = key.map(lambda each: position(each, settings.seed))
    split = manifest["given_split"].copy()
    given = frozenset(split)
    if given in ({""}, {"train"}):
        split[:] = "train"
        split[place < settings.test + settings.validation] = "validation"
        split[place < settings.test] = "test"
    elif given == {"train", "validation"}:
        split[(split == "validation") & (place < settings.test_of_validation)] = "test"
    elif given == {"train", "test"}:
        split[(split == "train") & (place < settings.validation)] = "validation"
    elif given != set(SPLITS):
        raise UserError(f"the source has only {', '.join(sorted(given))} pictures; add train ones")
    return split


def keep_one_side(sides: pd.Series, groups: np.ndarray) -> pd.Series:
    """Return `sides` with "aside" for all pictures of a group but those on its one side."""
    table = pd.DataFrame({"group": groups, "side": sides.to_numpy()})
    counts = table.value_counts().rename("pictures").reset_index()
    counts["rank"] = counts["side"].map(STAYS.index)
    counts = counts.sort_values(["group", "pictures", "rank"], ascending=[True, False, True])
    kept = counts.drop_duplicates("group").set_index("group")["side"]
    return sides.where(sides.to_numpy() == kept[groups].to_numpy(), ASIDE)


def counts(labels: pd.Series, split: pd.Series) -> pd.DataFrame:
    """Return the number of pictures by class (rows, sorted) and split (columns, aside last)."""
    return pd.crosstab(labels, split).reindex(columns=[*SPLITS, ASIDE], fill_value=0)


def report(
    manifest: pd.DataFrame, quarantined: int, groups: Groups, split: pd.Series, settings: Split
) -> dict:
    """Return what metrics/split.json says: pictures, classes, groups and duplicates, as counts.

    divided_groups: how many groups the pictures' own sides would have put on several sides, before,
    and how many are there in the end (`after`, always 0).
    """
    sides, used = own_sides(manifest, settings), split != ASIDE
    sizes = np.bincount(groups.of)
    identical = {
        name: int((manifest[column].duplicated(keep=False)).sum())
        for name, column in {"same_file": "sha256", "same_pixels": "pixel_sha256"}.items()
    }
    return {
        "pictures": {
            "found": len(manifest) + quarantined,
            "quarantined": quarantined,
            "aside": int((~used).sum()),
            "used": int(used.sum()),
        },
        "classes": counts(manifest["label"], split).to_dict("index"),
        "groups": {"of_several": int((sizes > 1).sum()), "largest": int(sizes.max())},
        "duplicates": {
            **identical,
            "near": len(np.unique(groups.near)),
            "near_sought_in": groups.sought,
        },
        "divided_groups": {
            "before": _divided(sides, groups.of),
            "after": _divided(split[used], groups.of[used]),
        },
    }


def summary(report: dict, note: str) -> str:
    """Say in a few lines what belonged together and what became of it."""
    duplicates, divided = report["duplicates"], report["divided_groups"]
    lines = [
        "{same_file} pictures are there as the same file more than once, {same_pixels} with the "
        "same pixels, {near} as near-duplicates".format(**duplicates)
    ]
    if divided["before"]:
        lines.append(
            f"{divided['before']} groups would have been on several sides: {divided['after']} are, "
            f"{report['pictures']['aside']} pictures are set aside for that"
        )
    return "\n".join([*lines, *([note] if note else [])])


def _divided(sides: pd.Series, groups: np.ndarray) -> int:
    """Count the groups that have pictures on several sides."""
    return int((sides.groupby(groups).nunique() > 1).sum())


def _check_given(manifest: pd.DataFrame, groups: Groups) -> None:
    divided = manifest["given_split"].groupby(groups.of).nunique() > 1
    if divided.any():
        first = manifest[groups.of == divided.idxmax()].drop_duplicates("given_split")["path"]
        raise UserError(
            f"{divided.sum()} groups of equal or near pictures are in two of the source's own "
            f"splits, the first as {first.iloc[0]} and {first.iloc[1]}; remove one copy of each, "
            "or set split.on_leak to repair in params.yaml"
        )


def _check_every_class_everywhere(labels: pd.Series, split: pd.Series, ours: bool) -> None:
    """Raise UserError for a class that misses a part; `ours` tells that split.seed has a say."""
    seed = ", or try another split.seed in params.yaml" if ours else ""
    table = counts(labels, split)
    for label, row in table.iterrows():
        for part in SPLITS:
            if row[part] == 0:
                raise UserError(
                    f"class {label!r} has {row.sum()} pictures and none of them falls into {part}; "
                    f"add some (shares vary by chance, 40 in a class are safe){seed}"
                )
