import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from thaw.data import duplicates, splitting
from thaw.data.settings import Split
from thaw.project.errors import UserError

NOT_CORRECTED = pd.DataFrame(columns=["path", "label", "corrected"])
SETTINGS = Split(
    validation=0.25,
    test=0.15,
    test_of_validation=0.2,
    min_per_class=1,
    near_duplicates=12,
    on_leak="repair",
    seed=3,
)


def rows(count: int, given: str = "", label: str = "a", start: int = 0) -> pd.DataFrame:
    digests = [
        hashlib.sha256(f"{label}{i}".encode()).hexdigest() for i in range(start, start + count)
    ]
    table = pd.DataFrame({"path": [f"{label}/{i}" for i in range(start, start + count)]})
    return table.assign(
        label=label, given_split=given, group="", sha256=digests, pixel_sha256=digests, phash=""
    )


def table(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def assign(manifest: pd.DataFrame, wanted: Split = SETTINGS) -> pd.Series:
    return splitting.assign(manifest, duplicates.group(manifest, wanted.near_duplicates), wanted)


def test_each_class_is_cut_at_the_fractions():
    manifest = table(rows(2001), rows(999, label="b"))
    counts = splitting.counts(manifest["label"], assign(manifest))
    assert list(counts.columns) == ["train", "validation", "test", "excluded"]
    fractions = counts.div(counts.sum(axis=1), axis=0)
    for label in "ab":  # within four standard deviations of a share of 999
        assert fractions.loc[label].tolist() == pytest.approx([0.60, 0.25, 0.15, 0], abs=0.06)


IMAGES = st.tuples(
    st.integers(0, 10**6),  # the content
    st.integers(0, 12).map(lambda number: f"{number:064x}"),  # the hash: many are near
    st.sampled_from(["", "", "", "patient 1", "patient 2"]),
    st.sampled_from("ab"),
)


def manifest_of(images: list[tuple]) -> pd.DataFrame:
    digests = [hashlib.sha256(str(content).encode()).hexdigest() for content, *_ in images]
    _, hashes, groups, labels = zip(*images)
    return pd.DataFrame(
        {
            "path": [f"{label}/{number}" for number, label in enumerate(labels)],
            "label": labels,
            "given_split": "",
            "group": groups,
            "sha256": digests,
            "pixel_sha256": digests,
            "phash": hashes,
        }
    )


@settings(max_examples=100, deadline=None)
@given(
    before=st.lists(IMAGES, min_size=1, max_size=30, unique_by=lambda image: image[0]),
    added=st.lists(IMAGES, max_size=30, unique_by=lambda image: image[0]),
    removed=st.sets(st.integers(0, 29)),
    distance=st.sampled_from([None, 0, 1, 2]),
    seed=st.integers(0, 9),
)
def test_no_image_moves_another_and_no_group_is_divided(before, added, removed, distance, seed):
    """For any images, however they are grouped; without the check that classes are complete."""
    wanted = SETTINGS.model_copy(update={"near_duplicates": distance, "seed": seed})
    taken = {content for content, *_ in before}
    left = [each for number, each in enumerate(before) if number not in removed]
    after = [each for each in added if each[0] not in taken] + left[::-1]  # other paths, too
    sides = []
    for images in (before, after):
        if not images:
            return
        manifest = manifest_of(images)
        groups = duplicates.group(manifest, distance)
        own = splitting.own_splits(manifest, wanted)
        split = splitting.keep_one_split(own, groups.of)
        assert ((split == own) | (split == "excluded")).all()
        used = split[split != "excluded"]
        assert (used.groupby(groups.of[used.index]).nunique() == 1).all()
        assert used.groupby(groups.of[used.index]).ngroups == len(set(groups.of))
        sides.append(dict(zip(manifest["sha256"], split)))
    for digest in sides[0].keys() & sides[1].keys():
        assert len({sides[0][digest], sides[1][digest]} - {"excluded"}) <= 1


def test_adding_removing_and_renaming_move_no_other_image():
    manifest = table(rows(301), rows(203, label="b"))
    split = dict(zip(manifest["sha256"], assign(manifest)))
    shuffled = manifest.sample(frac=1, random_state=0)
    grown = table(rows(150, label="c"), shuffled, rows(99, start=900))
    grown["path"] = "elsewhere/" + grown["path"]
    shrunk = manifest.iloc[::2].reset_index(drop=True)
    for other in (grown, shrunk):
        again = dict(zip(other["sha256"], assign(other)))
        assert {key: again[key] for key in split.keys() & again.keys()} == {
            key: split[key] for key in split.keys() & again.keys()
        }


def test_the_same_file_twice_is_on_one_side_and_none_goes_aside():
    manifest = table(rows(99), rows(99), rows(99, label="b"))
    split = assign(manifest)
    assert split[:99].tolist() == split[99:198].tolist()
    assert "excluded" not in set(split)


def test_a_given_group_is_on_one_side_and_none_goes_aside():
    manifest = table(rows(401), rows(400, label="b"))
    manifest["group"] = [f"patient {number % 67}" for number in range(801)]
    split = assign(manifest)
    assert (split.groupby(manifest["group"]).nunique() == 1).all()
    assert set(split) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("sides", "kept"),
    [
        (["train", "test", "train"], ["train", "excluded", "train"]),
        (["train", "test"], ["excluded", "test"]),
        (["validation", "train"], ["validation", "excluded"]),
        (["validation", "test", "train"], ["excluded", "test", "excluded"]),
        (["test", "train", "train", "test"], ["test", "excluded", "excluded", "test"]),
    ],
)
def test_the_side_with_most_keeps_its_images(sides, kept):
    alone = ["train", "test"]  # two more groups, before and after
    groups = np.array([7, *[3] * len(sides), 0])
    split = splitting.keep_one_split(pd.Series([alone[0], *sides, alone[1]]), groups)
    assert split.tolist() == [alone[0], *kept, alone[1]]


def test_another_seed_is_another_split():
    manifest = table(rows(99), rows(99, label="b"))
    other = SETTINGS.model_copy(update={"seed": 4})
    assert (assign(manifest) != assign(manifest, other)).sum() > 40


def test_test_is_cut_off_validation_where_only_train_and_validation_are_given():
    parts = [rows(501, "train", label) for label in "ab"]
    parts += [rows(501, "validation", label, 501) for label in "ab"]
    manifest = table(*parts)
    split = assign(manifest)
    assert (split[manifest["given_split"] == "train"] == "train").all()
    of_validation = split[manifest["given_split"] == "validation"]
    assert set(of_validation) == {"validation", "test"}
    assert (of_validation == "test").mean() == pytest.approx(0.2, abs=0.05)


def test_validation_is_cut_off_train_where_only_train_and_test_are_given():
    parts = [rows(501, "train", label) for label in "ab"]
    parts += [rows(501, "test", label, 501) for label in "ab"]
    manifest = table(*parts)
    split = assign(manifest)
    assert (split[manifest["given_split"] == "test"] == "test").all()
    assert (split == "validation").sum() / 1002 == pytest.approx(0.25, abs=0.05)


def test_a_source_with_train_images_only_has_no_split_of_its_own():
    manifest = table(rows(301), rows(200, label="b"))
    assert assign(manifest.assign(given_split="train")).equals(assign(manifest))


def three_given() -> pd.DataFrame:
    kinds = ("test", "train", "validation")
    parts = [rows(3, kind, label, i * 3) for label in "ab" for i, kind in enumerate(kinds)]
    return table(*parts)


def test_three_given_splits_are_kept():
    manifest = three_given()
    assert assign(manifest).tolist() == manifest["given_split"].tolist()


def leaking() -> pd.DataFrame:
    """Row 1, of test, is row 4, of train, too."""
    manifest = three_given()
    manifest.loc[4, "pixel_sha256"] = manifest.loc[1, "pixel_sha256"]
    return manifest


def test_an_image_in_two_given_splits_is_repaired():
    manifest = leaking()
    split = assign(manifest)
    assert split[4] == "excluded"
    assert split.drop(4).equals(manifest["given_split"].drop(4).rename(split.name))


def test_an_image_in_two_given_splits_is_refused():
    wanted = SETTINGS.model_copy(update={"on_leak": "refuse"})
    with pytest.raises(UserError, match=r"1 groups .* splits, the first as a/1 and a/4;") as error:
        assign(leaking(), wanted)
    assert error.value.key == "split.on_leak"
    assign(three_given(), wanted)


def test_the_report_counts():
    manifest = leaking()
    groups = duplicates.group(manifest, 12)
    split = assign(manifest)
    corrected = pd.DataFrame(
        [("a/1", "b", "a"), ("a/4", "b", "a"), ("b/99", "b", "")],
        columns=["path", "label", "corrected"],
    )
    report = splitting.report(manifest, 5, corrected, groups, split, SETTINGS)
    test_set = report.pop("test_set")
    assert report == {
        "images": {"found": 24, "quarantined": 5, "left_out": 1, "excluded": 1, "used": 17},
        "relabelled": {"train": 0, "validation": 0, "test": 1, "excluded": 1},
        "moved_for_min_per_class": 0,
        "classes": {
            "a": {"train": 2, "validation": 3, "test": 3, "excluded": 1},
            "b": {"train": 3, "validation": 3, "test": 3, "excluded": 0},
        },
        "groups": {"of_several": 1, "largest": 2},
        "duplicates": {"same_file": 0, "same_pixels": 2, "near": 0, "near_sought_in": 0},
        "divided_groups": {"before": 1, "after": 0},
    }
    said = splitting.summary(report, "a note")
    assert "1 groups would have been in several splits: 0 are, 1 images are excluded" in said
    assert said.endswith("\na note")

    def again(rows: pd.DataFrame, parts: pd.Series) -> str:
        return splitting.report(rows, 5, corrected, groups, parts, SETTINGS)["test_set"]

    shuffled = manifest.sample(frac=1, random_state=0).assign(path="elsewhere")
    assert again(shuffled, split[shuffled.index]) == test_set
    for part in ("train", "test"):
        other = manifest["label"].where(split != part, "other")
        assert (again(manifest.assign(label=other), split) == test_set) == (part == "train")


def test_the_report_would_show_a_divided_group():
    manifest = leaking()
    groups = duplicates.group(manifest, 12)
    leaks = splitting.report(manifest, 0, NOT_CORRECTED, groups, manifest["given_split"], SETTINGS)
    assert leaks["divided_groups"]["after"] == 1


def test_something_must_be_left_to_train():
    values = {**SETTINGS.model_dump(), "validation": 0.5, "test": 0.5}
    with pytest.raises(ValidationError, match="should leave images to train on"):
        Split(**values)


def test_a_source_without_train_images_is_refused():
    with pytest.raises(UserError, match=r"the source has only validation images; add train ones"):
        assign(table(rows(9, "validation"), rows(9, "validation", "b")))


def test_the_report_counts_what_was_moved_for_small_classes():
    manifest = table(rows(301), rows(3, label="b"))
    groups = duplicates.group(manifest, 12)
    split = assign(manifest)
    report = splitting.report(manifest, 0, NOT_CORRECTED, groups, split, SETTINGS)
    moved = int((split != splitting.own_splits(manifest, SETTINGS)).sum())
    assert report["moved_for_min_per_class"] == moved > 0
    said = splitting.summary(report, "")
    assert f"{moved} images are in another split than by chance (split.min_per_class)" in said


def test_the_table_of_many_classes_has_the_smallest():
    values = {"train": 5, "validation": 2, "test": 1, "excluded": 0}
    few = pd.DataFrame(values, index=[f"class {number}" for number in range(60)])
    assert len(splitting.table(few).splitlines()) == 61
    many = pd.DataFrame(values, index=[f"class {number}" for number in range(61)])
    many.loc["class 47", "train"] = 3
    first, _, smallest, *rest = splitting.table(many).splitlines()
    assert first == "the 20 classes with the fewest images, of 61:"
    assert smallest.split() == ["class", "47", "3", "2", "1", "0"]
    assert len(rest) == 19
