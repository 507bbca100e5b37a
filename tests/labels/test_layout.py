import os

import pytest

from thaw.labels import layout
from thaw.project.errors import UserError
from thaw.sources import listing


def touch(root, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def places(root, template="auto") -> list[tuple[str, str, str]]:
    found = layout.find(root, template).found
    return [(each.path.relative_to(root).as_posix(), each.label, each.given) for each in found]


def test_class_folders(tmp_path):
    touch(tmp_path, "b/2.png", "b/1.jpg", "a é/deep/3.png", "notes.txt")
    assert places(tmp_path) == [
        ("a é/deep/3.png", "a é", ""),
        ("b/1.jpg", "b", ""),
        ("b/2.png", "b", ""),
    ]


def test_split_folders_below_an_archives_top_folder(tmp_path):
    touch(tmp_path, "pets/train/cat/1", "pets/train/dog/2", "pets/vectorize.py", "pets/val/cat/3")
    touch(tmp_path, "pets/val/dog/4", "pets/Test/cat/5", "pets/Test/dog/6", "__MACOSX/pets/._1")
    assert [(label, given) for _, label, given in places(tmp_path)] == [
        ("cat", "test"),
        ("dog", "test"),
        ("cat", "train"),
        ("dog", "train"),
        ("cat", "validation"),
        ("dog", "validation"),
    ]


def test_clutter_is_no_image_and_is_counted(tmp_path):
    touch(tmp_path, "a/1.png", "a/.DS_Store", "a/Thumbs.db", "a/deep/desktop.ini", "b/2.png")
    touch(tmp_path, ".git/x", "b/.x/y", "b/__MACOSX/z", "notes.txt", "b/Icon\r")
    assert [place for place, _, _ in places(tmp_path)] == ["a/1.png", "b/2.png"]
    assert layout.find(tmp_path).skipped == 8


def test_links_are_listed_and_linked_folders_entered(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png", "elsewhere/deep/3.png")
    (tmp_path / "a/folder").symlink_to(tmp_path / "elsewhere/deep")
    (tmp_path / "a/gone").symlink_to("nowhere")
    found = [place for place, label, _ in places(tmp_path) if label == "a"]
    assert found == ["a/1.png", "a/folder/3.png", "a/gone"]


def test_a_folder_that_cannot_be_listed_stops(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png", "a/deep/3.png", "b/2.png")
    list_folder = os.scandir

    def denied(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(PermissionError, match="deep"):
        layout.find(tmp_path)


def test_a_linked_class_folder_is_a_class(tmp_path):
    touch(tmp_path, "in/a/1.png", "in/b/2.png", "elsewhere/3.png")
    (tmp_path / "in/c").symlink_to(tmp_path / "elsewhere")
    assert places(tmp_path / "in")[-1] == ("c/3.png", "c", "")


@pytest.mark.parametrize("name", [b"b/\xff.png", b"\xff/1.png"])
def test_a_name_that_is_not_utf8_is_refused(tmp_path, name):
    touch(tmp_path, "a/1.png", "b/2.png")
    os.makedirs(os.fsencode(tmp_path) + b"/" + os.path.dirname(name), exist_ok=True)
    os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT))
    with pytest.raises(UserError, match=r"xff.* is not UTF-8; rename the file"):
        layout.find(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ["cat/1.jpg", "cat/lying/2.jpg", "cat/sitting/3.jpg"],
            r"1 class folder found \(cat\)",
        ),
        (["a/1.png", "b/x\ry.png"], r"x\\ry.png': this name has a carriage return in it; rename"),
        (["a/1.png"], "there are no class folders: the images lie in a; put the images of each"),
        (["1.png"], "no class folders: 1 images lie in the source itself; put the images of each"),
        ([".hidden"], "no image was found; name the folder that holds them, as files"),
        (
            ["a.parquet", "b.PARQUET", "README"],
            r"found, only .parquet \(2\), README \(1\); name the",
        ),
        (["a.tfrecord"], r"no image was found, only .tfrecord \(1\); name the folder that holds"),
        (["train/a/1", "train/b/1", "c/1"], "'c' holds images and stands beside split folders"),
        (["Cat/1", "cat/1", "dog/1"], "'Cat' and 'cat' differ only in case"),
        (
            ["caf\u00e9/1", "cafe\u0301/1"],
            "only in case, in spaces or in how their letters are encoded",
        ),
        (["stra\u00dfe/1", "STRASSE/1"], "rename or join them"),
        (["train/cat/1", "test/cat /2", "train/dog/3", "test/dog/4"], "'cat' and 'cat ' differ"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused(tmp_path, files, message):
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=message):
        layout.find(tmp_path)


def test_all_files_below_a_folder_but_clutter(tmp_path):
    touch(tmp_path, ".hidden/folder/1.png", ".hidden/folder/.x/2.png", ".hidden/folder/deep/3")
    touch(tmp_path, ".hidden/folder/Thumbs.db", ".hidden/folder/notes.txt")
    found = listing.files(tmp_path / ".hidden/folder")
    inside = sorted(path.relative_to(tmp_path / ".hidden/folder").as_posix() for path in found)
    assert inside == ["1.png", "deep/3", "notes.txt"]


def test_a_template_reads_label_split_and_group(tmp_path):
    touch(tmp_path, "x/Train_Set/p1/cat/1.png", "x/dev/p2/dog/deep/2.png", "x/more/p3/cat/3.png")
    found = layout.find(tmp_path, "x/{split}/{group}/{label}/*")
    assert [each[1:] for each in found.found] == [
        ("cat", "train", "p1"),
        ("dog", "validation", "p2"),
    ]
    assert found.skipped == 1
    assert found.notes == [
        '1 image file does not fit "x/{split}/{group}/{label}/*", so skipped: x/more/p3/cat/3.png',
        "Train_Set is taken for train, dev is taken for validation",
    ]


def test_the_last_star_alone_takes_folders_below_and_one_with_signs_does_not(tmp_path):
    touch(tmp_path, "a/1.png", "a/masks/1.png", "b/2.png")
    assert len(places(tmp_path, "{label}/*")) == 3
    assert [place for place, *_ in places(tmp_path, "{label}/*.*")] == ["a/1.png", "b/2.png"]


def test_a_label_takes_as_much_as_it_can_and_says_so(tmp_path):
    touch(tmp_path, "great_dane_1.jpg", "pug_2.jpg")
    found = layout.find(tmp_path, "{label}_*.jpg")
    assert [each.label for each in found.found] == ["great_dane", "pug"]
    assert found.notes == [
        "great_dane_1.jpg is of class 'great_dane' and not 'great', since {label} takes as much as "
        "it can"
    ]


def test_a_template_that_fits_nothing_is_named(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png")
    with pytest.raises(UserError) as error:
        layout.find(tmp_path, "{split}/{label}/*")
    assert str(error.value).startswith(
        'params.yaml [data.layout]: 0 classes found by "{split}/{label}/*" (no file fits), at '
        "least 2 are needed; write it from the source's folder on"
    )


def test_tables_and_notes_are_no_images_and_images_under_their_endings_are(tmp_path):
    touch(tmp_path, "a/1.png", "a/notes.txt", "b/2.png", "a/LICENSE", "a/what")
    (tmp_path / "b/photo.txt").write_bytes(b"\xff\xd8\xff\xe0")
    found = [place for place, _, _ in places(tmp_path)]
    assert found == ["a/1.png", "a/what", "b/2.png", "b/photo.txt"]
