import socket

import pytest

from stages.lib import transfer
from stages.lib.usable import BadPicture
from tests import server
from tools.lib import addresses


@pytest.fixture
def there(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSE", 0.001)
    monkeypatch.setattr(addresses, "TIMEOUT", (2, 0.3))
    with server.running() as running:
        yield running


@pytest.mark.parametrize("path", ["good", "moved", "unknown_length"])
def test_what_lies_there_is_written(there, tmp_path, path):
    addresses.fetch(f"{there.url}/{path}", tmp_path / "file")
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
    monkeypatch.setattr(addresses, "LONGEST", 1)
    with pytest.raises(BadPicture, match=f"^({reason})"):
        addresses.fetch(f"{there.url}/{path}", tmp_path / "file")


def test_without_a_network_there_is_a_reason(tmp_path, monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(transfer, "PAUSE", 0.001)
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(BadPicture, match=r"^no connection \(.*; check the address and the network"):
        addresses.fetch("https://pictures.example/cat.jpg", tmp_path / "file")


def test_only_http_is_an_address():
    assert addresses.is_address("https://x/cat.jpg")
    assert not addresses.is_address("httpd/cat.jpg")
