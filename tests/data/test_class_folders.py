import os

import pytest

from thaw.data import class_folders
from thaw.project.errors import UserError


def touch(root, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def places(root) -> list[tuple[str, str, str]]:
    found, _ = class_folders.find(root)
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
    assert class_folders.find(tmp_path)[1] == 8


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
        class_folders.find(tmp_path)


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
        class_folders.find(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["cat/1.jpg", "cat/lying/2.jpg", "cat/sitting/3.jpg"], r"1 class folders found \(cat\)"),
        (["a/1.png", "b/x\ry.png"], r"x\\ry.png': this name has a carriage return in it; rename"),
        (["a/1.png"], r"1 class folders found \(a\), at least 2 are needed; name the folder that"),
        (["1.png"], r"0 class folders found \(none\)"),
        (["a/1.png", "b/.hidden"], "class folder 'b' is empty; fill it or leave it out"),
        (["train/a/1", "train/b/1", "c/1"], "folder 'c' stands beside split folders; move it"),
        (["Cat/1", "cat/1", "dog/1"], "'Cat' and 'cat' differ only in case"),
        (["caf\u00e9/1", "cafe\u0301/1"], "differ only in case or in how their letters are enc"),
        (["stra\u00dfe/1", "STRASSE/1"], "rename or join them"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused(tmp_path, files, message):
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=message):
        class_folders.find(tmp_path)


def test_all_files_below_a_folder_but_clutter(tmp_path):
    touch(tmp_path, ".hidden/folder/1.png", ".hidden/folder/.x/2.png", ".hidden/folder/deep/3")
    touch(tmp_path, ".hidden/folder/Thumbs.db", ".hidden/folder/notes.txt")
    found = class_folders.files(tmp_path / ".hidden/folder")
    inside = sorted(path.relative_to(tmp_path / ".hidden/folder").as_posix() for path in found)
    assert inside == ["1.png", "deep/3", "notes.txt"]
