import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from stages.lib import audit
from stages.lib.errors import UserError
from tests.conftest import draw_pictures


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def places(root: Path) -> list[tuple[str, str, str]]:
    found = audit.find(root)
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


def test_clutter_is_no_picture(tmp_path):
    touch(tmp_path, "a/1.png", "a/.DS_Store", "a/Thumbs.db", "b/2.png", ".git/x", "b/.x/y")
    assert [place for place, _, _ in places(tmp_path)] == ["a/1.png", "b/2.png"]


def test_what_is_left_out_is_counted(tmp_path):
    touch(tmp_path, "a/1.png", "a/.DS_Store", "b/2.png", "notes.txt")
    assert audit.left_out(tmp_path, audit.find(tmp_path)) == 2


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png")
    os.rename(tmp_path / "b/2.png", os.fsencode(tmp_path) + b"/b/\xff.png")
    with pytest.raises(UserError, match=r"xff\.png.* is not UTF-8; rename the file"):
        audit.find(tmp_path)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_without_a_known_range_are_bad(tmp_path, mode):
    Image.new(mode, (5, 5), 3).save(tmp_path / "x.tif")
    assert audit.inspect(tmp_path / "x.tif")[1].startswith(f"values of mode {mode} have no known")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a/1.png"], r"1 class folders found \(a\), at least 2 are needed"),
        (["1.png"], r"0 class folders found \(none\)"),
        (["a/1.png", "b/.hidden"], "class folder 'b' is empty; fill it or leave it out"),
        (["train/a/1", "train/b/1", "c/1"], "folder 'c' stands beside split folders"),
        (["Cat/1", "cat/1", "dog/1"], "'Cat' and 'cat' differ only in case"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused(tmp_path, files, message):
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=message):
        audit.find(tmp_path)


def test_every_picture_is_used_or_quarantined_with_its_reason(tmp_path):
    draw_pictures(tmp_path, {"red": 5, "green": 3})
    whole = (tmp_path / "red/0.jpg").read_bytes()
    (tmp_path / "red/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "red/page.jpg").write_text("<html>")
    (tmp_path / "green/none.png").touch()
    Image.new("L", (9, 7)).save(tmp_path / "green/grey.jpg", "PNG")
    manifest, quarantine = audit.check(audit.find(tmp_path), tmp_path, workers=3)

    assert (len(manifest), len(quarantine)) == (9, 3)
    assert list(quarantine["path"]) == ["green/none.png", "red/cut.jpg", "red/page.jpg"]
    assert quarantine["reason"].str.contains("^no known picture format$|[Tt]runcated").all()
    assert not quarantine["reason"].str.contains(os.sep + "green").any()
    assert list(manifest["path"]) == sorted(manifest["path"])
    first = manifest.set_index("path").loc["red/0.jpg"]
    assert first["sha256"] == hashlib.sha256(whole).hexdigest()
    assert (first["format"], first["mode"], first["width"], first["height"]) == (
        "JPEG",
        "RGB",
        37,
        31,
    )
    grey = manifest.set_index("path").loc["green/grey.jpg"]
    assert (grey["format"], grey["mode"], grey["width"], grey["height"]) == ("PNG", "L", 9, 7)
