"""The shapes that public data sets have: what is found in each, and what a user reads."""

import zipfile
from collections import Counter

import pytest

from thaw.labels import layout
from thaw.project.errors import UserError
from thaw.sources import archive
from thaw.sources.settings import ArchiveLimits


def draw(root, *folders: str, count: int = 12, name: str = "{}.jpg") -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / folder / name.format(number)).touch()


def doubled_splits(root):
    draw(root / "training_set/training_set", "cats", "dogs", count=14, name="pet.{}.jpg")
    draw(root / "test_set/test_set", "cats", "dogs", count=8, name="pet.{}.jpg")


def prefixed_splits(root):
    draw(root / "seg_train/seg_train", "forest", "sea", count=14)
    draw(root / "seg_test/seg_test", "forest", "sea", count=8)
    draw(root, "seg_pred/seg_pred", count=9)


def class_then_split(root):
    draw(root, "cat/train", "dog/train")
    draw(root, "cat/val", "dog/val", count=8)


def images_and_meta(root):
    draw(root / "food/images", "pizza", "sushi", count=30)
    (root / "food/meta").mkdir()
    (root / "food/meta/classes.txt").write_text("pizza\nsushi\n")


def class_named_train(root):
    draw(root, "bus", "car", "train", "truck", count=30)


def picture_beside(root):
    draw(root / "pets-1.0", "cat", "dog", count=30)
    (root / "pets-1.0/overview0.png").touch()


def nas_thumbnails(root):
    draw(root, "cat", "dog", count=30)
    draw(root, "cat/@eaDir/0.jpg", "@eaDir/x.jpg", count=1)
    draw(root, "#recycle", "System Volume Information", "lost+found/x", "$RECYCLE.BIN/y", count=1)


def one_inner_folder(root):
    draw(root, "n01/images", "n02/images")
    (root / "n01/n01_boxes.txt").write_text("0.jpg\t0\t0\n")


def deep_in_part(root):
    draw(root, "cat", "dog", "dog/more", count=5)


def splits_by_other_names(root):
    draw(root / "Train_Images", "a", "b", count=5)
    draw(root / "dev", "a", "b", count=3)
    draw(root / "hold-out", "a", "b", count=2)


USED = {
    doubled_splits: (
        "{split}/*/{label}/*",
        {("cats", "train"): 14, ("dogs", "train"): 14, ("cats", "test"): 8, ("dogs", "test"): 8},
        0,
        ["test_set is taken for test, training_set is taken for train"],
    ),
    prefixed_splits: (
        "{split}/*/{label}/*",
        {("forest", "train"): 14, ("sea", "train"): 14, ("forest", "test"): 8, ("sea", "test"): 8},
        9,
        [
            '9 image files do not fit "{split}/*/{label}/*", so skipped: seg_pred/seg_pred/0.jpg '
            "and 8 more beside it",
            "seg_test is taken for test, seg_train is taken for train",
        ],
    ),
    class_then_split: (
        "{label}/{split}/*",
        {(label, split): count for label in ("cat", "dog")
         for split, count in (("train", 12), ("validation", 8))},
        0,
        ["val is taken for validation"],
    ),
    images_and_meta: (
        "food/images/{label}/*",
        {("pizza", ""): 30, ("sushi", ""): 30},
        1,
        ["food/meta holds no image, so no class"],
    ),
    class_named_train: (
        "{label}/*",
        {(label, ""): 30 for label in ("bus", "car", "train", "truck")},
        0,
        ["train is taken for a class, as the folders beside it are"],
    ),
    picture_beside: (
        "pets-1.0/{label}/*",
        {("cat", ""): 30, ("dog", ""): 30},
        1,
        ['1 image file does not fit "pets-1.0/{label}/*", so skipped: pets-1.0/overview0.png'],
    ),
    nas_thumbnails: ("{label}/*", {("cat", ""): 30, ("dog", ""): 30}, 6, []),
    one_inner_folder: ("{label}/*", {("n01", ""): 12, ("n02", ""): 12}, 1, []),
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


def variants(root):
    for kind in ("color", "grayscale", "segmented"):
        draw(root / kind, "apple", "grape", "peach", count=14)


def images_and_masks(root):
    for label in ("COVID", "Normal"):
        draw(root / label, "images", "masks", count=30, name=label + "-{}.png")


def masks_within(root):
    draw(root, "a", "b", "a/masks", "b/masks")


def unlabelled_validation(root):
    draw(root / "train", "n01/images", "n02/images", count=24)
    (root / "train/n01/n01_boxes.txt").write_text("0.jpg\t0\t0\t9\t9\n")
    draw(root, "val/images", count=8)


def class_in_train_only(root):
    draw(root / "train", "cat", "dog", "fox")
    draw(root / "val", "cat", "dog")


def unlabelled_test(root):
    draw(root / "train", "cat", "dog", count=30)
    draw(root, "test/unknown", count=9)


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


def labels_in_names(root):
    draw(root, "train", count=30, name="cat.{}.jpg")
    draw(root, "train", count=30, name="dog.{}.jpg")


def breeds_in_names(root):
    draw(root, "images", count=3, name="great_dane_{}.jpg")
    draw(root, "images", count=3, name="pug_{}.jpg")


def labels_in_a_table(root):
    draw(root, "images", count=30)
    (root / "readme.txt").write_text("about")
    (root / "labels.csv").write_text("id,breed\n")


def patients(root):
    draw(root, "p1/benign", "p2/benign", name="one{}.png")
    draw(root, "p2/malignant", name="two{}.png")
    for path in (root / "p2/benign").iterdir():
        path.rename(path.with_name(f"other {path.name}"))


def hierarchy(root):
    draw(root, "birds/auk", "birds/wren", "insects/bee", "insects/ant")


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
    variants: "which level names the classes? color, grayscale and segmented hold the same folders "
    '(apple, grape and peach); set this to "color/{label}/*" for the classes apple, grape and '
    'peach, of color alone, or "{label}/*" for the classes color, grayscale and segmented',
    images_and_masks: "each class folder holds folders (images and masks), and not all may be "
    'images to learn from; set this to "{label}/images/*" to use images alone, or "{label}/*" to '
    "use all",
    masks_within: "a and b hold images and a folder 'masks' each; set this to \"{label}/*.*\" to "
    'leave it out, or "{label}/*" to use it as well',
    unlabelled_validation: "the images of val have no labels: val has images, which train lacks; "
    'the classes of train are n01 and n02; set this to "train/{label}/*" to use train alone and '
    "split it anew",
    class_in_train_only: "val has no class 'fox', which train has; set this to \"train/{label}/*\" "
    'to use train alone and split it anew, or "*/{label}/*" to split all anew',
    unlabelled_test: "the images of test have no labels: test has unknown, which train lacks; the "
    'classes of train are cat and dog; set this to "train/{label}/*" to use train alone and split '
    "it anew",
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
    labels_in_names: "there are no class folders: the images lie in train; set this to "
    '"train/{label}.*.*" for the classes cat and dog',
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
    (variants, "color/{label}/*"): {("apple", ""): 14, ("grape", ""): 14, ("peach", ""): 14},
    (images_and_masks, "{label}/images/*"): {("COVID", ""): 30, ("Normal", ""): 30},
    (masks_within, "{label}/*.*"): {("a", ""): 12, ("b", ""): 12},
    (unlabelled_validation, "train/{label}/*"): {("n01", ""): 24, ("n02", ""): 24},
    (class_in_train_only, "*/{label}/*"): {("cat", ""): 24, ("dog", ""): 24, ("fox", ""): 12},
    (unlabelled_test, "train/{label}/*"): {("cat", ""): 30, ("dog", ""): 30},
    (labels_in_names, "train/{label}.*.*"): {("cat", ""): 30, ("dog", ""): 30},
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


def test_a_packed_source_is_read_alike(tmp_path):
    picture_beside(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as pets:
        for path in (tmp_path / "in").rglob("*.*g"):
            pets.write(path, path.relative_to(tmp_path / "in"))
    (tmp_path / "out").mkdir()
    limits = ArchiveLimits(max_gigabytes=1.0, max_ratio=100.0, max_members=1000)
    archive.unpack(tmp_path / "pets.zip", tmp_path / "out", limits, "pets.zip")
    assert len(layout.find(tmp_path / "out").found) == 60
