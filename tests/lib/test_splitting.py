import hashlib

import pandas as pd
import pytest
from pydantic import ValidationError

from stages.lib import splitting
from stages.lib.errors import UserError

SETTINGS = splitting.Split(validation=0.25, test=0.15, test_of_validation=0.2, seed=3)


def rows(count: int, given: str = "", label: str = "a", start: int = 0) -> pd.DataFrame:
    digests = [
        hashlib.sha256(f"{label}{i}".encode()).hexdigest() for i in range(start, start + count)
    ]
    table = pd.DataFrame({"path": [f"{label}/{i}" for i in range(start, start + count)]})
    return table.assign(label=label, given_split=given, sha256=digests)


def table(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def test_each_class_is_cut_at_the_fractions():
    manifest = table(rows(2001), rows(999, label="b"))
    counts = splitting.counts(manifest["label"], splitting.assign(manifest, SETTINGS))
    assert list(counts.columns) == ["train", "validation", "test"]
    shares = counts.div(counts.sum(axis=1), axis=0)
    for label in "ab":  # within four standard deviations of a share of 999
        assert shares.loc[label].tolist() == pytest.approx([0.60, 0.25, 0.15], abs=0.06)


def test_adding_removing_and_renaming_move_no_other_picture():
    manifest = table(rows(301), rows(203, label="b"))
    split = dict(zip(manifest["sha256"], splitting.assign(manifest, SETTINGS)))
    grown = table(
        rows(150, label="c"), manifest.sample(frac=1, random_state=0), rows(99, start=900)
    )
    grown["path"] = "elsewhere/" + grown["path"]
    shrunk = manifest.iloc[::2].reset_index(drop=True)
    for other in (grown, shrunk):
        again = dict(zip(other["sha256"], splitting.assign(other, SETTINGS)))
        assert {key: again[key] for key in split.keys() & again.keys()} == {
            key: split[key] for key in split.keys() & again.keys()
        }


def test_the_same_picture_twice_is_on_one_side():
    manifest = table(rows(99), rows(99), rows(99, label="b"))
    split = splitting.assign(manifest, SETTINGS)
    assert split[:99].tolist() == split[99:198].tolist()


def test_another_seed_is_another_split():
    manifest = table(rows(99), rows(99, label="b"))
    other = SETTINGS.model_copy(update={"seed": 4})
    assert (splitting.assign(manifest, SETTINGS) != splitting.assign(manifest, other)).sum() > 40


def test_test_is_cut_off_validation_where_only_train_and_validation_are_given():
    parts = [rows(501, "train", label) for label in "ab"]
    parts += [rows(501, "validation", label, 501) for label in "ab"]
    manifest = table(*parts)
    split = splitting.assign(manifest, SETTINGS)
    assert (split[manifest["given_split"] == "train"] == "train").all()
    of_validation = split[manifest["given_split"] == "validation"]
    assert set(of_validation) == {"validation", "test"}
    assert (of_validation == "test").mean() == pytest.approx(0.2, abs=0.05)


def test_validation_is_cut_off_train_where_only_train_and_test_are_given():
    parts = [rows(501, "train", label) for label in "ab"]
    parts += [rows(501, "test", label, 501) for label in "ab"]
    manifest = table(*parts)
    split = splitting.assign(manifest, SETTINGS)
    assert (split[manifest["given_split"] == "test"] == "test").all()
    assert (split == "validation").sum() / 1002 == pytest.approx(0.25, abs=0.05)


def test_three_given_splits_are_kept():
    kinds = ("test", "train", "validation")
    parts = [rows(3, kind, label, i * 3) for label in "ab" for i, kind in enumerate(kinds)]
    manifest = table(*parts)
    assert splitting.assign(manifest, SETTINGS).tolist() == manifest["given_split"].tolist()


def test_a_picture_on_two_sides_or_in_two_classes_is_named():
    parts = [rows(3, given, label) for label in "ab" for given in ("test", "train", "validation")]
    manifest = table(*parts)
    manifest["sha256"] = [f"{number:064x}" for number in range(18)]
    splitting.assign(manifest, SETTINGS)
    across_splits, across_classes = manifest.copy(), manifest.copy()
    across_splits.loc[1, "sha256"] = manifest.loc[4, "sha256"]
    across_classes.loc[1, "sha256"] = manifest.loc[10, "sha256"]
    for bad in (across_splits, across_classes):
        with pytest.raises(
            UserError, match=r"1 pictures are in two classes or on two sides .* a/1"
        ):
            splitting.assign(bad, SETTINGS)


def test_something_must_be_left_to_train():
    with pytest.raises(ValidationError, match="should leave pictures to train on"):
        splitting.Split(validation=0.5, test=0.5, test_of_validation=0.2, seed=1)


def test_a_class_that_misses_a_part_is_named():
    with pytest.raises(UserError, match="class 'b' has 2 pictures and none of them falls into"):
        splitting.assign(table(rows(301), rows(2, label="b")), SETTINGS)
    with pytest.raises(UserError, match="the source has only validation pictures"):
        splitting.assign(table(rows(9, "validation"), rows(9, "validation", "b")), SETTINGS)
