"""Shapes of folders: what is found in each, and what a user reads. tests/test_cases.py has more."""

from collections import Counter

import pytest

from thaw.labels import layout
from thaw.project.errors import UserError


def draw(root, *folders: str, count: int = 12, name: str = "{}.jpg") -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / folder / name.format(number)).touch()


def one_inner_folder(root):
    draw(root, "n01/images", "n02/images")
    (root / "n01/n01_boxes.txt").write_text("0.jpg\t0\t0\n")


def folders_of_pictures(root):
    draw(root, "a/Images", "b/photos", count=5)


def deep_in_part(root):
    draw(root, "cat", "dog", "dog/more", count=5)


def splits_by_other_names(root):
    draw(root / "Train_Images", "a", "b", count=5)
    draw(root / "dev", "a", "b", count=3)
    draw(root / "hold-out", "a", "b", count=2)


USED = {
    one_inner_folder: ("{label}/*", {("n01", ""): 12, ("n02", ""): 12}, 1, []),
    folders_of_pictures: ("{label}/*", {("a", ""): 5, ("b", ""): 5}, 0, []),
    deep_in_part: ("{label}/*", {("cat", ""): 5, ("dog", ""): 10}, 0, []),
    splits_by_other_names: (
        "{split}/{label}/*",
        {(label, split): count for label in "ab"
         for split, count in (("train", 5), ("validation", 3), ("test", 2))},
        0,
        ["Train_Images is taken for train, dev is taken for validation, hold-out is taken for "
         "test"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", USED, ids=lambda make: make.__name__)
def test_what_is_found(tmp_path, make):
    make(tmp_path)
    found = layout.find(tmp_path)
    counts = Counter((each.label, each.given) for each in found.found)
    assert (found.layout, counts, found.skipped, found.notes) == USED[make]


def masks_within(root):
    draw(root, "a", "b", "a/masks", "b/masks")


def flat_test_beside_two(root):
    draw(root, "train/a", "train/b", "val/a", "val/b", "test")


def named_train_and_unnamed_test(root):
    draw(root, "train", count=30, name="cat.{}.jpg")
    draw(root, "train", count=30, name="dog.{}.jpg")
    draw(root, "test1", count=30)


def masks_in_splits(root):
    draw(
        root,
        *(f"{a}/{b}/{c}" for a in ("train", "test") for b in "ab" for c in ("images", "masks")),
    )


def masks_in_splits_of_classes(root):
    draw(
        root, *(f"{a}/{b}/{c}" for a in "ab" for b in ("train", "val") for c in ("images", "masks"))
    )


def masks_beside_splits(root):
    draw(
        root, *(f"{a}/{b}/{c}" for a in ("images", "masks") for b in ("train", "val") for c in "ab")
    )


def boxes_in_splits(root):
    draw(root, "train/images", "val/images")


def flat_test(root):
    draw(root / "train", "cat", "dog", count=30)
    draw(root, "test", count=9)


def breeds_in_names(root):
    draw(root, "images", count=3, name="great_dane_{}.jpg")
    draw(root, "images", count=3, name="pug_{}.jpg")


def labels_in_a_table(root):
    draw(root, "images", count=30)
    (root / "readme.txt").write_text("about")
    for name in ("labels.csv", "a_submission.csv", "Test.csv"):
        (root / name).write_text("id,breed\n")


def patients(root):
    draw(root, "p1/benign", "p2/benign", name="one{}.png")
    draw(root, "p2/malignant", name="two{}.png")
    for path in (root / "p2/benign").iterdir():
        path.rename(path.with_name(f"other {path.name}"))


def hierarchy(root):
    draw(root, "birds/auk", "birds/wren", "insects/bee", "insects/ant")


def different_depths(root):
    draw(root, "train/train/a", "train/train/b", "test/a", "test/b")


def only_splits(root):
    draw(root, "train", "test")


def images_beside_masks(root):
    draw(root, "images", "masks")


def two_for_one_split(root):
    draw(root, "train/a", "train/b", "train_masks/a", "train_masks/b", "test/a", "test/b")


def a_copy_beside_splits(root):
    draw(root, "train/a", "train/b", "test/a", "test/b", "x/train/a", "x/train/b")


def many_beside(root):
    draw(root, "a", "b", ".", count=12)


def a_class_without_a_split(root):
    draw(root, "a/train", "a/test", "b/train")


REFUSED = {
    masks_within: "a and b hold images and a folder 'masks' each; set this to \"{label}/*.*\" to "
    'leave it out, or "{label}/*" to use it as well',
    flat_test: "the images of test have no labels: test has no class folders; the classes of train "
    'are cat and dog; set this to "train/{label}/*" to use train alone and split it anew',
    flat_test_beside_two: "the images of test have no labels: test has no class folders; the "
    'classes of train are a and b; set this to "{split}/{label}/*" to leave test out, or '
    '"train/{label}/*" to use train alone and split it anew',
    named_train_and_unnamed_test: "there are no class folders: the images lie in test1 and train; "
    'set this to "train/{label}.*.*" for the classes cat and dog',
    masks_in_splits: "each class folder holds folders (images and masks), and not all may be "
    'images to learn from; set this to "{split}/{label}/images/*" to use images alone, or '
    '"{split}/{label}/*" to use all',
    masks_in_splits_of_classes: "a and b hold train with folders (images and masks), and not all "
    'may be images to learn from; set this to "{label}/{split}/images/*" to use images alone',
    masks_beside_splits: "images and masks are named for what they hold and not for classes; set "
    'this to "images/{split}/{label}/*" to use images alone, or "{label}/*" if they are classes',
    boxes_in_splits: "there are no class folders: train and val hold images; put the images of "
    "each class into a folder, or name a table of labels in data.labels",
    breeds_in_names: "there are no class folders: the images lie in images; set this to "
    '"images/{label}_*" for the classes great_dane and pug',
    labels_in_a_table: "there are no class folders: the images lie in images; name the table of "
    "labels in data.labels (labels.csv?)",
    patients: "which level names the classes? p1 and p2 hold folders (benign and malignant); set "
    'this to "{group}/{label}/*" for the classes benign and malignant, one group in each of the '
    'others, or "{label}/*" for the classes p1 and p2',
    hierarchy: "which level names the classes? birds and insects hold folders (ant, auk, bee and 1 "
    'more); set this to "*/{label}/*" for the classes ant, auk, bee and 1 more, or "{label}/*" for '
    "the classes birds and insects",
    different_depths: "the class folders of test and train lie at different depths; move them to "
    'the same one; set this to "train/*/{label}/*" to use train alone and split it anew',
    only_splits: "there are no class folders: the images lie in test and train; put the images of "
    "each class into a folder, or name a table of labels in data.labels",
    images_beside_masks: "images and masks are named for what they hold and not for classes; set "
    'this to "{label}/*" if they are classes',
    two_for_one_split: "train and train_masks are both named for train; set this to "
    '"{split}/{label}/*" to use both, or "train/{label}/*" to use train alone',
    a_copy_beside_splits: "'x' holds folders and stands beside split folders (test and train); set "
    'this to "{split}/{label}/*" to leave x out, or "{label}/*" if test, train and x are the '
    "classes",
    many_beside: '12 image files lie beside the folders a and b; set this to "{label}/*" to leave '
    "them out",
    a_class_without_a_split: "class 'b' has no folder for test, and others have; set this to "
    '"{label}/*" to split all anew',
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_is_refused_and_what_a_user_reads(tmp_path, make):
    make(tmp_path)
    with pytest.raises(UserError) as error:
        layout.find(tmp_path)
    assert str(error.value) == f"params.yaml [data.layout]: {REFUSED[make]}"


WAYS = {  # out of a refusal, with the classes that it then gives
    (masks_within, "{label}/*.*"): {("a", ""): 12, ("b", ""): 12},
    (breeds_in_names, "images/{label}_*"): {("great_dane", ""): 3, ("pug", ""): 3},
    (patients, "{group}/{label}/*"): {("benign", ""): 24, ("malignant", ""): 12},
    (many_beside, "{label}/*"): {("a", ""): 12, ("b", ""): 12},
}


@pytest.mark.parametrize(
    ("make", "template"), WAYS, ids=lambda each: getattr(each, "__name__", each)
)
def test_the_way_out_works(tmp_path, make, template):
    make(tmp_path)
    found = layout.find(tmp_path, template).found
    assert Counter((each.label, each.given) for each in found) == WAYS[make, template]
