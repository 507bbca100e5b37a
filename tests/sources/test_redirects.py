import socket

import pytest

from tests.server import CONTENT, running
from thaw.images.image_checks import InvalidImage
from thaw.project.errors import UserError
from thaw.sources import fetch, redirects
from tools.serving import inputs

INSIDE = [
    "127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "0.0.0.0", "10.1.2.3", "192.168.0.1",
    "172.16.5.4", "169.254.169.254", "fe80::1", "fd00:ec2::254", "100.64.0.1", "2130706433",
    "0x7f.1",
]  # fmt: skip
PUBLIC = "images.example"  # as seen by the check; it is the server on loopback


@pytest.mark.parametrize("host", INSIDE)
def test_what_is_inside(host):
    assert redirects.is_inside(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "no-such-host.invalid", "a" * 300])
def test_what_is_not(host):
    assert not redirects.is_inside(host)


@pytest.fixture
def server(monkeypatch):
    """A server that is reached as PUBLIC, too, and redirects wherever `targets` say."""
    resolve, judge = socket.getaddrinfo, redirects.is_inside
    monkeypatch.setattr(
        socket, "getaddrinfo",
        lambda host, *rest, **more: resolve("127.0.0.1" if host == PUBLIC else host, *rest, **more),
    )  # fmt: skip
    monkeypatch.setattr(redirects, "is_inside", lambda host: host != PUBLIC and judge(host))
    monkeypatch.setattr(fetch, "PAUSE", 0.001)
    with running() as server:
        yield server


def public(server, path: str) -> str:
    return f"http://{PUBLIC}:{server.server_port}/{path}"


def test_a_redirect_from_elsewhere_to_this_machine_is_refused(server, tmp_path):
    server.moves["/out"] = f"{server.url}/secret"
    server.files["/secret"] = b"AWS_SECRET_KEY"
    with pytest.raises(
        UserError, match=r"/out: the server redirects to 127\.0\.0\.1, inside this m"
    ):
        fetch.download(public(server, "out"), tmp_path / "x")
    with pytest.raises(InvalidImage, match=r"redirects to 127\.0\.0\.1, inside this machine"):
        inputs.fetch_image(public(server, "out"), tmp_path / "y")
    server.moves["/two"] = public(server, "out")
    with pytest.raises(UserError, match="inside this machine"):
        fetch.download(public(server, "two"), tmp_path / "z")
    assert server.count("/secret") == 0


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "//[::1]/", "http://10.0.0.1"])
def test_so_is_one_to_its_network_in_any_form(server, tmp_path, target):
    server.moves["/out"] = target
    with pytest.raises(UserError, match="inside this machine or its network"):
        fetch.download(public(server, "out"), tmp_path / "x")


def test_other_redirects_are_followed(server, tmp_path):
    server.moves["/within"] = "/good"
    server.moves["/further"] = public(server, "good")
    for address in (public(server, "within"), f"{server.url}/further", f"{server.url}/within"):
        fetch.download(address, tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == CONTENT
