import errno
import hashlib
import shutil
from collections import namedtuple

import pytest

from tests.server import CONTENT, running
from thaw.project.errors import UserError
from thaw.sources import fetch

DIGEST = hashlib.sha256(CONTENT).hexdigest()
WRONG = "0" * 64


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.001)
    monkeypatch.setattr(fetch, "TIMEOUT", (2, 0.3))
    with running() as server:
        yield server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "downloads/archive"


def left(path) -> set[str]:
    return {each.name for each in path.parent.iterdir()} if path.parent.exists() else set()


@pytest.mark.parametrize(
    ("name", "requests"),
    [
        ("good", 1),
        ("moved", 1),
        ("busy", 3),
        ("flaky", 5),
        ("flaky_without_version", 3),
        ("unknown_length", 1),
        ("packed_by_the_server", 1),
        ("no_further", 3),
    ],
)
def test_what_arrives_is_whole(server, path, name, requests):
    assert fetch.download(f"{server.url}/{name}", path, DIGEST) == DIGEST
    assert path.read_bytes() == CONTENT
    assert server.count(f"/{name}") == requests
    assert "archive.part" not in left(path)


def test_a_broken_body_is_gone_on_with(server, path):
    fetch.download(f"{server.url}/flaky", path)
    ranges = [wanted for _, wanted in server.requests]
    assert ranges == [None, *(f"bytes={start}-" for start in (70000, 140000, 210000, 280000))]


def test_what_an_interrupted_run_left_is_gone_on_with(server, path, monkeypatch):
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    monkeypatch.setattr(fetch, "_length", lambda _: 0)  # no byte more: give up at once
    with pytest.raises(UserError, match="breaks off after 70000 bytes"):
        fetch.download(f"{server.url}/flaky", path)
    monkeypatch.undo()
    assert left(path) == {"archive.part", "archive.json"}
    monkeypatch.setattr(fetch, "PAUSE", 0.001)
    assert fetch.download(f"{server.url}/flaky", path) == DIGEST
    assert server.requests[1][1] == "bytes=70000-"


def test_a_part_of_another_address_or_version_is_not_used(server, path, monkeypatch):
    server.files |= {"/other": CONTENT[::-1]}
    fetch.download(f"{server.url}/good", path)
    path.rename(path.with_name("archive.part"))
    assert fetch.download(f"{server.url}/other", path) != DIGEST
    assert path.read_bytes() == CONTENT[::-1]
    path.rename(path.with_name("archive.part"))
    server.files["/other"], server.etags["/other"] = CONTENT, '"2"'
    assert fetch.download(f"{server.url}/other", path) == DIGEST


def test_a_whole_file_is_used_again_while_it_is_the_same(server, path):
    server.files["/x"] = CONTENT
    for _ in range(2):
        assert fetch.download(f"{server.url}/x", path) == DIGEST
    server.files["/x"], server.etags["/x"] = b"new", '"2"'
    assert fetch.download(f"{server.url}/x", path) != DIGEST
    assert path.read_bytes() == b"new"


def test_a_whole_file_with_the_right_digest_needs_no_network(path):
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert fetch.download("http://127.0.0.1:9/x", path, DIGEST) == DIGEST


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "the server answers 404 Not Found; check the address and the network"),
        ("forbidden", "the server answers 403 Forbidden; check the address"),
        ("broken", "the server answers 500 Internal Server Error; check the address"),
        ("circle", "more than 5 redirects; check the address"),
        ("silent", r"no (answer within 0.3 seconds|connection \(.*timed out.*\)); check the addr"),
        ("short", "the answer breaks off after 9 bytes, 5 times in a row; run again to go on"),
        ("standstill", "the answer stands still after 4 bytes, 5 times in a row; run again"),
        ("drip", "under 1000 bytes a second come, 5 times in a row; run again"),
        ("patience", "the server answers 503 Service Unavailable; check the address"),
        ("elsewhere", "the server goes on at another place than asked for, 5 times in a row"),
    ],
)
def test_what_cannot_be_had_is_named(server, path, monkeypatch, name, message):
    if name == "drip":
        monkeypatch.setattr(fetch, "WINDOW", 0.2)
    with pytest.raises(UserError, match=f"^{server.url}/{name}: .*{message}") as error:
        fetch.download(f"{server.url}/{name}", path)
    assert "archive" not in left(path)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9/x", r"no connection \(.*refused.*\); check the address and the netw"),
        ("http://no-such-host.invalid/x", r"no connection \(.+\); check the address and the netw"),
        ("http://", "check the address"),
    ],
)
def test_no_connection_is_named(server, path, url, message):
    with pytest.raises(UserError, match=message) as error:
        fetch.download(url, path)
    assert len(str(error.value)) < 200


def test_a_wrong_digest_leaves_nothing(server, path):
    with pytest.raises(
        UserError, match=f"its SHA-256 is {DIGEST} and not {WRONG}, .* check the address, and data"
    ):
        fetch.download(f"{server.url}/good", path, WRONG)
    assert left(path) == {"archive.json"}


def test_another_size_is_named_before_the_body(server, path):
    with pytest.raises(UserError, match="has 300000 bytes and not 7, so it is another file by now"):
        fetch.download(f"{server.url}/good", path, None, 7)
    assert left(path) == set()


@pytest.mark.parametrize(("name", "most"), [("good", 0), ("unknown_length", 70_000 + fetch.PIECE)])
def test_more_than_is_wanted_is_not_fetched(server, path, name, most):
    """Of a server that says how much comes, and of one that does not."""
    with pytest.raises(
        UserError, match=r"larger than 7e-05 GB, which may be .*max_gigabytes in pa"
    ):
        fetch.download(f"{server.url}/{name}", path, largest=70_000)
    part = path.with_name("archive.part")
    assert (part.stat().st_size if part.exists() else 0) <= most


def test_a_disk_without_room_is_named_before_the_body(server, path, monkeypatch):
    usage = namedtuple("usage", "total used free")(0, 0, 299_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"has 0.0 GB and the disk of .* has 0.0 GB left; make ro"):
        fetch.download(f"{server.url}/good", path)


def test_a_disk_that_fills_up_is_named(server, path):
    path.parent.mkdir()
    path.with_name("archive.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as error:
        fetch.download(f"{server.url}/good", path)
    assert error.value.errno == errno.ENOSPC
    assert not path.exists()


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (300_001, "the answer breaks off after 300000 of 300001 bytes, 5 times in a row"),
        (299_999, "the answer has 300000 bytes and not 299999, 5 times in a row"),
    ],
)
def test_a_body_of_unknown_length_must_have_the_known_size(server, path, size, message):
    with pytest.raises(UserError, match=message):
        fetch.download(f"{server.url}/unknown_length", path, None, size)
    assert not path.exists()
