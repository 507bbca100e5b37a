"""Put each picture into train, validation or test by a hash of its content."""

import hashlib
from typing import Annotated

import pandas as pd
from pydantic import Field, model_validator

from stages.lib.errors import UserError
from stages.lib.manifest import SPLITS
from stages.lib.params import Section

Fraction = Annotated[float, Field(gt=0, le=0.5)]


class Split(Section):
    """How much of the pictures goes where, if the source does not say."""

    validation: Fraction
    test: Fraction
    test_of_validation: Fraction
    seed: int

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> "Split":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test should leave pictures to train on")
        return self


def position(sha256: str, seed: int) -> float:
    """Return a picture's place in [0, 1): the same for the same bytes, unrelated to any other's."""
    digest = hashlib.sha256(f"{seed}:{sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign(manifest: pd.DataFrame, settings: Split) -> pd.Series:
    """Return "train", "validation" or "test" for each row of the manifest.

    Where the source gives no split, each class is cut at the two fractions. Where it gives train
    and validation only, test is cut off validation; train and test only, validation off train. Each
    picture's side depends on its own content alone, so adding pictures never moves another, and
    the share of a class that falls into a part varies around the fraction by chance.

    Raises UserError when a class has no picture in one of the three, and when the source itself has
    the same picture on two sides or in two classes.
    """
    place = manifest["sha256"].map(lambda digest: position(digest, settings.seed))
    split = manifest["given_split"].copy()
    given = frozenset(split)
    if given == {""}:
        split[:] = "train"
        split[place < settings.test + settings.validation] = "validation"
        split[place < settings.test] = "test"
    elif given == {"train", "validation"}:
        split[(split == "validation") & (place < settings.test_of_validation)] = "test"
    elif given == {"train", "test"}:
        split[(split == "train") & (place < settings.validation)] = "validation"
    elif given != set(SPLITS):
        raise UserError(f"the source has only {', '.join(sorted(given))} pictures; add train ones")
    _check_every_class_everywhere(manifest["label"], split)
    _check_no_picture_twice(manifest, split)
    return split


def counts(labels: pd.Series, split: pd.Series) -> pd.DataFrame:
    """Return the number of pictures by class (rows, sorted) and split (columns, as in SPLITS)."""
    return pd.crosstab(labels, split).reindex(columns=list(SPLITS), fill_value=0)


def _check_every_class_everywhere(labels: pd.Series, split: pd.Series) -> None:
    table = counts(labels, split)
    for label, row in table.iterrows():
        for part in SPLITS:
            if row[part] == 0:
                raise UserError(
                    f"class {label!r} has {row.sum()} pictures and none of them falls into {part}; "
                    "add some (shares vary by chance, 40 in a class are safe), or try another "
                    "split.seed in params.yaml where the source has no split of its own"
                )


def _check_no_picture_twice(manifest: pd.DataFrame, split: pd.Series) -> None:
    sides = manifest.assign(split=split).groupby("sha256", sort=False)[["label", "split"]].nunique()
    twice = sides[(sides > 1).any(axis=1)]
    if len(twice):
        first, second = manifest.loc[manifest["sha256"] == twice.index[0], "path"].iloc[[0, -1]]
        raise UserError(
            f"{len(twice)} pictures are in two classes or on two sides of the split, the first as "
            f"{first} and {second}; keep one copy of each"
        )
