from pathlib import Path

import pytest

from thaw.labels import samples
from thaw.project.errors import UserError
from thaw.sources.settings import Labels


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write unpacked shards; `folder` is where they are unpacked to."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def told(folder: Path, template: str = "auto", labels: Labels | None = None) -> dict[str, tuple]:
    found = samples.find(folder, labels, template).found
    return {each.path.relative_to(folder).as_posix(): each[1:] for each in found}


def test_labels_and_splits_of_samples(tmp_path):
    write(tmp_path, {
        "x-train-0.tar/0.jpg": "", "x-train-0.tar/0.cls": "great dane\n",
        "x-train-0.tar/sub dir/0.PNG": "", "x-train-0.tar/sub dir/0.CLS": "pug",
        "val/0.tar/ü's 1.v2.jpg": "", "val/0.tar/ü's 1.v2.cls": "pug",
        "val/0.tar/9.jpg": "", "val/0.tar/9.cls": "great dane",
    })  # fmt: skip
    assert told(tmp_path) == {
        "val/0.tar/9.jpg": ("great dane", "validation", ""),
        "val/0.tar/ü's 1.v2.jpg": ("pug", "validation", ""),
        "x-train-0.tar/0.jpg": ("great dane", "train", ""),
        "x-train-0.tar/sub dir/0.PNG": ("pug", "train", ""),
    }


def test_an_image_without_one_label_is_named_with_the_reason(tmp_path):
    write(tmp_path, {
        "0.tar/0.jpg": "", "0.tar/0.cls": "0", "0.tar/1.jpg": "", "0.tar/1.cls": "1",
        "0.tar/2.jpg": "",
        "0.tar/3.jpg": "", "0.tar/3.png": "", "0.tar/3.cls": "1",
        "0.tar/4.jpg": "", "0.tar/4.cls": "1", "0.tar/4.json": '{"label": 0}',
        "0.tar/5.jpg": "", "0.tar/5.cls": "",
        "0.tar/notes.bin": "",
    })  # fmt: skip
    listing = samples.find(tmp_path, None, "auto")
    assert [each.path.name for each in listing.found] == ["0.jpg", "1.jpg"]
    assert {path.name: why for path, why in listing.unlabelled.items()} == {
        "2.jpg": "no label in its shard",
        "3.jpg": "two images with one label in its shard",
        "3.png": "two images with one label in its shard",
        "4.jpg": "two labels: 1 in .cls and 0 in .json beside it",
        "5.jpg": "no label in its shard",
    }
    assert listing.skipped == 1


def test_further_images_of_a_sample_are_skipped_and_counted(tmp_path):
    write(tmp_path, {
        "0.tar/0.jpg": "", "0.tar/0.seg.png": "", "0.tar/0.cls": "cat",
        "0.tar/1.left.jpg": "", "0.tar/1.cls": "dog",
    })  # fmt: skip
    listing = samples.find(tmp_path, None, "auto")
    assert [each.path.name for each in listing.found] == ["0.jpg", "1.left.jpg"]
    assert listing.skipped == 1
    assert "1 further images of samples, such as 0.tar/0.seg.png: skipped" in listing.notes


@pytest.mark.parametrize(
    ("more", "labels"), [({}, ["a", "b"]), ({"0.tar/0.txt": "a photo"}, ["a", "b"])]
)
def test_labels_in_json_come_before_texts(tmp_path, more, labels):
    files = {"0.tar/0.jpg": "", "0.tar/0.json": '{"label": "a"}',
             "0.tar/1.jpg": "", "0.tar/1.json": '{"label": "b"}'}  # fmt: skip
    assert [each[0] for each in told(write(tmp_path, files | more)).values()] == labels


def test_texts_are_labels_where_json_has_none(tmp_path):
    files = {}
    for number in range(3):
        files |= {f"0.tar/{number}.jpg": "", f"0.tar/{number}.json": '{"width": 9}'}
        files |= {f"0.tar/{number}.txt": "cat" if number else "dog"}
    assert {each[0] for each in told(write(tmp_path, files)).values()} == {"cat", "dog"}


def test_captions_are_no_labels(tmp_path):
    files = {}
    for number in range(9):
        files |= {f"0.tar/{number}.jpg": "", f"0.tar/{number}.txt": f"photo {number} of a cat"}
    with pytest.raises(
        UserError, match=r"the \.txt files of 9 images hold 9 texts, such as 'photo 0"
    ):
        samples.find(write(tmp_path, files), None, "auto")


def pets(folder: Path, *shards: str) -> Path:
    files = {}
    for shard in shards:
        for number, label in enumerate(("cat", "dog")):
            files |= {f"{shard}/{number}.jpg": "", f"{shard}/{number}.cls": label}
    return write(folder, files)


def test_shards_of_one_split_are_split_anew(tmp_path):
    listing = samples.find(pets(tmp_path, "train-0.tar", "train-1.tar"), None, "auto")
    assert {each.given for each in listing.found} == {""}
    assert "all shards are named for train, so they are split anew" in listing.notes


def test_splits_of_some_shards_alone_are_refused(tmp_path):
    pets(tmp_path, "train-0.tar", "more.tar")
    with pytest.raises(UserError, match=r"^params.yaml \[data.layout\]: more\.tar/0\.jpg is in no"):
        samples.find(tmp_path, None, "auto")
    assert {each[1] for each in told(tmp_path, "*").values()} == {""}


def test_a_template_says_which_shards_and_what_their_names_tell(tmp_path):
    pets(tmp_path, "train-a.tar", "test-b.tar", "extra.tar")
    assert set(told(tmp_path, "train*/*")) == {"train-a.tar/0.jpg", "train-a.tar/1.jpg"}
    assert told(tmp_path, "{split}-{group}.tar/*") == {
        "test-b.tar/0.jpg": ("cat", "test", "b"), "test-b.tar/1.jpg": ("dog", "test", "b"),
        "train-a.tar/0.jpg": ("cat", "train", "a"), "train-a.tar/1.jpg": ("dog", "train", "a"),
    }  # fmt: skip
    assert told(tmp_path, "{label}-*.tar/*")["test-b.tar/0.jpg"] == ("test", "", "")


def test_where_names_of_shards_are_classes_other_files_of_samples_are_no_images(tmp_path):
    write(tmp_path, {
        f"{name}.tar/0{ending}": "a" for name in ("cat", "dog")
        for ending in (".jpg", ".cls", ".npy", ".json")
    })  # fmt: skip
    write(tmp_path, {"dog.tar/0000000": ""})
    assert told(tmp_path, "{label}.tar/*") == {
        "cat.tar/0.jpg": ("cat", "", ""),
        "dog.tar/0.jpg": ("dog", "", ""),
        "dog.tar/0000000": ("dog", "", ""),
    }
    assert samples.find(tmp_path, None, "{label}.tar/*").skipped == 6


def test_a_single_class_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"1 classes found in the \.cls files of shards"):
        samples.find(write(tmp_path, {"0.tar/0.jpg": "", "0.tar/0.cls": "cat"}), None, "auto")
