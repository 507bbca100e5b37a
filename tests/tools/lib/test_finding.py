import os

import pytest

from stages.lib.errors import UserError
from tools.lib import finding


@pytest.fixture
def photos(tmp_path, monkeypatch):
    for name in ("a/2.jpg", "a/10.jpg", "a/deep/x", "a/.hidden/y.jpg", "a/Thumbs.db", "b[1].jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty/.git").mkdir(parents=True)
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["b[1].jpg", "./a/2.jpg"], ["b[1].jpg", "a/2.jpg"]),
        (["a/"], ["a/10.jpg", "a/2.jpg", "a/deep/x"]),
        (["a/.hidden"], ["a/.hidden/y.jpg"]),
        (["a/*.jpg", "a/2.jpg"], ["a/10.jpg", "a/2.jpg", "a/2.jpg"]),
        (["a/d*"], ["a/deep/x"]),
        (["**"], ["a/10.jpg", "a/2.jpg", "a/deep/x", "b[1].jpg", "gone.jpg"]),
        (["*.jpg"], ["b[1].jpg", "gone.jpg"]),
    ],
)
def test_files_folders_and_patterns(photos, arguments, expected):
    assert finding.files(arguments) == expected
    assert finding.pictures(arguments, ()) == expected


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("nothing", "no such file or folder: nothing"),
        ("", "no such file or folder: ''"),
        ("empty", "no files in empty"),
        ("e*", r"no files in e\*"),
        ("*.png", r"no file matches \*.png"),
    ],
)
def test_what_names_nothing_is_one_line(photos, argument, line):
    with pytest.raises(UserError, match=f"^{line}$"):
        finding.pictures(["a", argument], ())


def test_addresses_and_lines_are_taken_as_they_are(photos):
    lines = ["a/*.jpg\n", "\n", "https://x/1 2.jpg\n", " a \n", os.fsdecode(b"\xff.jpg")]
    found = finding.pictures(["http://x/*.jpg", "-", "b*"], lines)
    assert found == [
        "http://x/*.jpg", "a/*.jpg", "https://x/1 2.jpg", " a ", os.fsdecode(b"\xff.jpg"),
        "b[1].jpg",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"^standard input names no pictures"):
        finding.pictures(["-"], ["\n", " \n"])
