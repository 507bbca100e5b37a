import os
import socket

import pytest

from tests import server
from thaw.images.image_checks import InvalidImage
from thaw.project.errors import UserError
from thaw.sources import fetch
from tools.serving import inputs


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
    assert inputs.files(arguments) == expected
    assert inputs.images(arguments, ()) == expected


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
        inputs.images(["a", argument], ())


def test_addresses_and_lines_are_taken_as_they_are(photos):
    lines = ["a/*.jpg\n", "\n", "https://x/1 2.jpg\n", " a \n", os.fsdecode(b"\xff.jpg")]
    found = inputs.images(["http://x/*.jpg", "-", "b*"], lines)
    assert found == [
        "http://x/*.jpg", "a/*.jpg", "https://x/1 2.jpg", " a ", os.fsdecode(b"\xff.jpg"),
        "b[1].jpg",
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"^standard input names no images"):
        inputs.images(["-"], ["\n", " \n"])


@pytest.fixture
def there(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.001)
    monkeypatch.setattr(inputs, "TIMEOUT", (2, 0.3))
    with server.running() as running:
        yield running


@pytest.mark.parametrize("path", ["good", "moved", "unknown_length"])
def test_what_lies_there_is_written(there, tmp_path, path):
    inputs.fetch_image(f"{there.url}/{path}", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == server.CONTENT


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("broken", "the server answers 500 "),
        ("forbidden", "the server answers 403 "),
        ("circle", "more than 5 redirects"),
        ("short", "the answer breaks off"),
        ("silent", "no answer within|no connection "),
        ("standstill", "the answer .* stands still"),
        ("drip", "not there within 1 seconds"),
    ],
)
def test_what_cannot_be_had_has_a_reason(there, tmp_path, monkeypatch, path, reason):
    monkeypatch.setattr(inputs, "MAX_SECONDS", 1)
    with pytest.raises(InvalidImage, match=f"^({reason})"):
        inputs.fetch_image(f"{there.url}/{path}", tmp_path / "file")


def test_without_a_network_there_is_a_reason(tmp_path, monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(fetch, "PAUSE", 0.001)
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(
        InvalidImage, match=r"^no connection \(.*; check the address and the network"
    ):
        inputs.fetch_image("https://images.example/cat.jpg", tmp_path / "file")


def test_only_http_is_an_address():
    assert inputs.is_address("https://x/cat.jpg")
    assert not inputs.is_address("httpd/cat.jpg")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["{}", '"{}"', "{} "])
def test_a_list_of_any_system_is_read(tmp_path, monkeypatch, encoding, end, form):
    monkeypatch.chdir(tmp_path)
    names = ["new 1.jpg", "more\\new 2.jpg", "https://x.org/a b.jpg", "no.jpg"]
    (tmp_path / "more").mkdir()
    for name in ("new 1.jpg", "more/new 2.jpg"):
        (tmp_path / name).touch()
    data = "".join(f"{form.format(name)}{end}" for name in names).encode(encoding)
    found = inputs.images(["-"], inputs.lines_of(data))
    assert found[:2] == ["new 1.jpg", "more/new 2.jpg"]
    assert found[2].strip('" ') == names[2]
    assert found[3] == form.format("no.jpg")  # as it stands in the list


def test_a_list_keeps_names_of_any_bytes_and_with_signs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("'quoted'", "back\\slash", " spaces "):
        (tmp_path / name).touch()
    found = inputs.images(["-"], inputs.lines_of(b"'quoted'\nback\\slash\n spaces \n\xff\x01"))
    assert found == ["'quoted'", "back\\slash", " spaces ", "\udcff\x01"]
    with pytest.raises(UserError, match=r"^standard input is cut off"):
        inputs.lines_of("x.jpg".encode("utf-16")[:-1])
