import numpy as np
import pandas as pd
import pytest

from tools.reviewing import label_quality, likeness, ranking

CLASSES = 3


@pytest.fixture
def images():
    """Return 63 images of three classes that lie apart, as rows, features and groups."""
    random = np.random.default_rng(0)
    classes = np.arange(63) % CLASSES
    centres = random.normal(size=(CLASSES, 48))
    features = centres[classes] + 0.6 * random.normal(size=(63, 48))
    rows = pd.DataFrame({"path": [f"{row}.jpg" for row in range(63)], "label": classes})
    rows["label"] = rows["label"].map({0: "ant", 1: "bee", 2: "<cow>"})
    return rows, features.astype("float32"), np.arange(63)


def ranked(rows, features, groups, poor=None) -> dict[int, ranking.Finding]:
    found = ranking.rank(rows, features, groups, poor or [[] for _ in range(len(rows))])
    return {each.row: each for each in found}


def test_wrong_labels_come_first_with_the_likelier_class(images):
    rows, features, groups = images
    rows.loc[[4, 8], "label"] = ["<cow>", "bee"]
    poor = [["dark"] if row == 30 else [] for row in range(63)]
    found = ranked(rows, features, groups, poor)
    assert set([*found][:2]) == {4, 8}
    assert (found[4].suggested, found[8].suggested) == ("bee", "<cow>")
    assert found[8].reasons[0].startswith("label in doubt: bee ")
    assert ", <cow> " in found[8].reasons[0]
    assert [*found][-1] == 30
    assert (found[30].reasons, found[30].suggested, found[30].other) == (["dark"], "", -1)


def test_a_copy_under_another_class_is_shown_with_its_other(images):
    rows, features, groups = images
    features[7] = features[5] * 1.01
    found = ranked(rows, features, groups)
    assert "nearly the same as 5.jpg of class <cow>" in found[7].reasons
    assert (found[7].other, found[5].other) == (5, 7)


def test_an_image_unlike_its_class_is_told(images):
    rows, features, groups = images
    features[11] = features[11, ::-1] * np.linspace(0, 9, 48)
    assert "unlike the other images of its class" in ranked(rows, features, groups)[11].reasons


def test_what_many_images_have_is_no_reason(images):
    rows, features, groups = images
    poor = [["blurred"] if row < 9 else ["9 x 99 pixels"] if row == 9 else [] for row in range(63)]
    found = ranked(rows, features, groups, poor)
    assert found[9].reasons == ["9 x 99 pixels"]
    assert not any("blurred" in each.reasons for each in found.values())


def test_heads_see_no_image_of_the_group():
    """Were one of a pair in training and one held out, the random label would be known."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 2)
    features = np.repeat(random.normal(size=(60, 500)), 2, axis=0).astype("float32")
    classes = np.repeat(random.integers(0, 2, 60), 2)
    for probabilities in (
        label_quality.out_of_fold(features, classes, groups),
        likeness.compare(features, classes, groups).votes,
    ):
        assert probabilities.sum(axis=1) == pytest.approx(1)
        right = (probabilities.argmax(axis=1) == classes).mean()
        assert right < 0.7


def test_neighbours_vote_and_are_measured():
    features = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1]], "float32")
    classes = np.array([0, 0, 1, 1, 1])
    like = likeness.compare(features, classes, np.arange(5))
    assert like.votes[0].tolist() == [0.25, 0.75]
    assert like.other.tolist() == [2, 2, 1, 1, 1]
    assert like.other_similarity[0] == pytest.approx(1 / np.hypot(1, 0.2))
    assert like.own[1] == pytest.approx(1 / np.hypot(1, 0.1))
    alone = likeness.compare(features, classes, np.array([0, 0, 1, 2, 3]))
    assert np.isnan(alone.own[:2]).all()
    assert alone.votes[0].tolist() == [0, 1]


def test_a_class_of_one_group_and_few_images_at_all_are_no_error(images):
    rows, features, groups = images
    rows.loc[[0, 3], "label"] = "rare"
    groups = groups.copy()
    groups[3] = 0
    found = ranked(rows, features, groups)
    said = [reason for row in (0, 3) if row in found for reason in found[row].reasons]
    assert not any("label in doubt" in reason for reason in said)
    ranked(rows.iloc[:3].reset_index(drop=True), features[:3], groups[:3])


def test_labels_that_the_texts_doubt_come_after_likely_wrong_ones(images):
    rows, features, groups = images
    rows.loc[4, "label"] = "<cow>"
    _, classes = np.unique(rows["label"], return_inverse=True)
    by_text = np.eye(3)[classes]
    by_text[[6, 12]] = [[0.9, 0.02, 0.08], [0.5, 0.3, 0.2]]
    poor = [["dark"] if row == 30 else [] for row in range(63)]
    found = ranking.rank(rows, features, groups, poor, by_text)
    order = [each.row for each in found]
    assert order.index(4) < order.index(6) < order.index(12) < order.index(30)
    surest, other = (found[order.index(row)] for row in (6, 12))
    assert surest.reasons == ["label in doubt by its text: ant 2%, <cow> 90%"]
    assert (surest.suggested, other.suggested) == ("<cow>", "<cow>")


def test_texts_that_doubt_many_labels_are_not_asked(images):
    rows, features, groups = images
    _, classes = np.unique(rows["label"], return_inverse=True)
    by_text = np.eye(3)[np.where(np.arange(63) % 5, classes, (classes + 1) % 3)]  # 50 of 63 agree
    found = ranking.rank(rows, features, groups, [[] for _ in range(63)], by_text)
    assert not any("by its text" in reason for each in found for reason in each.reasons)
