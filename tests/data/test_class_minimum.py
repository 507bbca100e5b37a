"""Each class is in every split, and what is moved for that."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_splitting import IMAGES, SETTINGS, assign, manifest_of, rows, table
from thaw.data import class_minimum, duplicates, splitting
from thaw.project.errors import UserError

SPLITS = ["train", "validation", "test"]


def wanted(**changes):
    return SETTINGS.model_copy(update=changes)


def own(manifest: pd.DataFrame, chosen=SETTINGS) -> pd.Series:
    return splitting.own_splits(manifest, chosen)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(("images", "least"), [(3, 1), (5, 1), (5, 2), (10, 3)])
def test_a_few_images_are_enough_with_every_seed(images, least, seed):
    manifest = table(rows(40), rows(images, label="rare"))
    split = assign(manifest, wanted(min_per_class=least, seed=seed))
    counts = splitting.counts(manifest["label"], split).loc["rare"]
    assert counts["validation"] >= least <= counts["test"]
    assert counts["train"] >= 1


def test_sixty_classes_of_ten():
    manifest = table(*[rows(10, label=f"class {number:02}") for number in range(60)])
    counts = splitting.counts(manifest["label"], assign(manifest))
    assert (counts[SPLITS] > 0).all(axis=None)


def test_the_images_nearest_to_the_limit_are_taken():
    """Of a class with training images alone, the first two by their place in the hash."""
    manifest = rows(300)
    places = manifest["sha256"].map(lambda each: splitting.position(each, SETTINGS.seed))
    order = places[places >= 0.4].sort_values()
    rare = manifest.loc[order.index[:7]].assign(label="rare")
    split = assign(table(rows(40), rare))[40:]
    assert split.tolist() == ["test", "validation", *["train"] * 5]


@settings(max_examples=100, deadline=None)
@given(
    before=st.lists(IMAGES, min_size=1, max_size=30, unique_by=lambda image: image[0]),
    added=st.lists(IMAGES, max_size=30, unique_by=lambda image: image[0]),
    distance=st.sampled_from([None, 0, 2]),
    seed=st.integers(0, 9),
    least=st.integers(1, 3),
)
@pytest.mark.slow
def test_growth_moves_no_image_but_the_guaranteed_few(before, added, distance, seed, least):
    """For any images, however they are grouped: what moves was or is moved for a small class."""
    chosen = wanted(near_duplicates=distance, seed=seed, min_per_class=least)
    taken = {content for content, *_ in before}
    sides, few = [], set()
    for images in (before, [each for each in added if each[0] not in taken] + before[::-1]):
        manifest = manifest_of(images)
        groups = duplicates.group(manifest, distance)
        try:
            split = assign(manifest, chosen)
        except UserError:
            return
        used = split[split != "excluded"]
        assert (used.groupby(groups.of[used.index]).nunique() == 1).all()
        assert (splitting.counts(manifest["label"], split)[SPLITS] >= [1, least, least]).all(
            axis=None
        )
        moved = used.index[used != own(manifest, chosen)[used.index]]
        assert pd.Series(groups.of[moved]).nunique() <= (2 * least + 1) * 2  # of two classes
        few |= set(manifest["sha256"][moved])
        sides.append(dict(zip(manifest["sha256"], split)))
    for digest in sides[0].keys() - few:
        assert len({sides[0][digest], sides[1][digest]} - {"excluded"}) <= 1


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    more=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    seed=st.integers(0, 99),
    least=st.integers(1, 2),
)
def test_images_in_their_own_split_stay_there(sizes, more, seed, least):
    """Where enough of a class train, added images never take one that stood in its own split."""
    chosen = wanted(seed=seed, min_per_class=least)
    before = table(*[rows(size, label=label) for label, size in zip("ab", sizes)])
    natural = splitting.counts(before["label"], own(before, chosen))["train"]
    if natural.min() < 2 * least + 1:
        return
    grown = table(before, *[rows(n, label=label, start=50) for label, n in zip("ab", more)])
    first, second = assign(before, chosen), assign(grown, chosen)[: len(before)]
    stood = first == own(before, chosen)
    assert second[stood].equals(first[stood])


def message(manifest: pd.DataFrame, chosen=SETTINGS) -> str:
    with pytest.raises(UserError) as error:
        assign(manifest, chosen)
    return str(error.value)


def test_fewer_than_three_are_refused_by_name():
    assert message(table(rows(301), rows(2, label="rare"), rows(1, label="rarer"))) == (
        "class 'rare' has 2 images; at least 3 are needed (1 for train, 1 for validation, 1 for "
        "test); 1 more class has too few; add images, or remove the class"
    )


def test_copies_do_not_count():
    manifest = table(rows(301), rows(2, label="rare"), rows(2, label="rare"))
    assert message(manifest) == (
        "class 'rare' has 4 images, but copies of an image and images of a group stay together, "
        "and these are 2 groups; at least 3 are needed (1 for train, 1 for validation, 1 for "
        "test); add images, or remove the class"
    )


def of_source(**given: str) -> pd.DataFrame:
    """12 images of each class in each split that is named by a letter, in SPLIT/CLASS/."""
    names = {"t": "train", "v": "validation", "e": "test"}
    parts = [
        rows(12, names[letter], label, 12 * place)
        for label, letters in given.items()
        for place, letter in enumerate(letters)
    ]
    manifest = table(*parts)
    return manifest.assign(path=manifest["given_split"] + "/" + manifest["path"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"cat": "tv", "dog": "tv", "fox": "t"},
            "the source's own validation images have none of class 'fox', which is in train; add "
            "some to validation, move out of the source what is no class, or set data.layout to "
            "'*/{label}/*' to split all images anew",
        ),
        (
            {"cat": "te", "dog": "te", "unknown": "e"},
            "the source's own train images have none of class 'unknown', which is in test; add "
            "some to train, move out of the source what is no class, or set data.layout to "
            "'*/{label}/*' to split all images anew",
        ),
        (
            {"a": "tve", "b": "tve", "c": "tv", "d": "tv", "e": "t", "f": "v"},
            "the source's own train images have none of class 'f', which is in validation; ",
        ),
        (
            {"a": "tve", "b": "tv", "c": "tv", "d": "tv", "e": "tv"},
            "the source's own test images have none of classes 'b', 'c', 'd' and 1 more, which are "
            "in train and validation; ",
        ),
    ],
)
def test_a_class_that_the_sources_own_split_lacks_is_named(given, said):
    assert message(of_source(**given)).startswith(said)


def test_labels_of_a_table_have_no_layout():
    manifest = of_source(cat="tv", dog="t")
    said = message(manifest.assign(path=manifest["path"].str.replace("/", "-")))
    assert said.endswith("; add some to validation, move out of the source what is no class")


@pytest.mark.parametrize("given", ["tv", "te"])
def test_what_is_cut_off_a_given_split_has_every_class(given):
    chosen = wanted(test_of_validation=0.01, validation=0.01, min_per_class=2)
    manifest = of_source(cat=given, dog=given)
    split = assign(manifest, chosen)
    assert (splitting.counts(manifest["label"], split)[SPLITS] >= 2).all(axis=None)
    kept = manifest["given_split"] == {"tv": "train", "te": "test"}[given]
    assert (split == manifest["given_split"])[kept].all()


def test_a_given_split_with_too_few_to_cut_is_named():
    manifest = of_source(cat="tv", dog="tv")
    few = manifest[(manifest["label"] == "cat") | (manifest["given_split"] == "train")]
    one = manifest[(manifest["label"] == "dog") & (manifest["given_split"] == "validation")].head(1)
    assert message(table(few, one)) == (
        "class 'dog' has 1 image in the source's own validation images; at least 2 are needed (1 "
        "for validation, 1 for test); add images, or remove the class"
    )


def test_a_class_that_is_only_copies_somewhere_is_named():
    manifest = of_source(cat="tve", dog="tve")
    test = manifest[(manifest["label"] == "dog") & (manifest["given_split"] == "test")]
    copies = table(test, test).assign(given_split="train")
    assert message(table(manifest, copies)) == (
        "class 'dog' has no image left in test: copies of those are in other splits; remove these "
        "copies, or add images to test"
    )


def test_a_group_of_several_classes_goes_only_where_none_is_left_short():
    """Patient x holds the last training image of class b, so a's next image is taken instead."""
    labels = pd.Series(["a", "b", "a", "a", "b", "b"])
    split = pd.Series(["train", "train", "train", "train", "validation", "test"])
    groups = pd.Series([0, 0, 1, 2, 3, 4])
    places = pd.Series([0.41, 0.41, 0.5, 0.6, 0.3, 0.1])
    parts = {"test": (0, 0.2), "validation": (0.2, 0.4), "train": (0.4, 1)}
    filled = class_minimum.fill(labels, split, groups, places, parts, dict.fromkeys(SPLITS, 1))
    assert filled.tolist() == ["train", "train", "test", "validation", "validation", "test"]
