"""Many clients at once, slow ones and those that stand still, over real HTTP."""

import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import requests
from playwright.sync_api import expect

from tests.browser import chromium
from tests.tools import colours
from tests.tools.serving.test_app import sent, served
from tests.tools.serving.test_responses import plain
from tools.serving import connection, limits

RED = plain((200, 30, 20))
HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n"
)
START = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


class Held:
    """A server whose model stands still until `free` is called."""

    def __init__(self):
        self.go, self.seen = threading.Event(), []
        self.free = self.go.set

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        assert self.go.wait(60)
        self.seen.append(threading.get_ident())
        return colours.fractions(pixels)


@pytest.fixture
def held(project):
    held = Held()
    with served(colours.responder(probabilities=held.probabilities)) as held.address:
        yield held
        held.free()


def send_many(held: Held, pool: ThreadPoolExecutor, count: int) -> list[Future]:
    """Send images until so many wait for their answers."""
    futures = [pool.submit(sent, held.address, RED) for _ in range(count)]
    wait_until(held, count)
    return futures


def wait_until(held: Held, count: int) -> None:
    while requests.get(held.address + "/healthz", timeout=60).json()["waiting"] != count:
        pass


def opened(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def rest(client: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    said = b""
    try:
        while piece := client.recv(9999):
            said += piece
    except ConnectionResetError:
        pass
    return said


def test_cheap_routes_answer_while_more_images_wait_than_there_are_threads(held):
    with ThreadPoolExecutor(47) as pool:
        waiting = send_many(held, pool, 47)  # anyio has 40 threads
        for path in ("/", "/healthz", "/run", "/static/page.js"):
            assert requests.get(held.address + path, timeout=60).status_code == 200
        assert not any(each.done() for each in waiting)
        held.free()
        assert {each.result().json()["label"] for each in waiting} == {"red"}
    told = requests.get(held.address + "/healthz", timeout=60).json()
    assert told == {"status": "ok", "waiting": 0}


def test_past_the_limit_images_are_refused_before_they_have_come(held, monkeypatch):
    monkeypatch.setattr(limits, "WAITING", 3)
    with ThreadPoolExecutor(3) as pool:
        waiting = send_many(held, pool, 3)
        with opened(held.address) as client:
            client.sendall(HEAD + b"Content-Length: 99\r\nConnection: close\r\n\r\n")
            said = rest(client)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 2\r\n" in said
        assert said.endswith(b'{"error":"3 images wait already; try again later"}')
        held.free()
        assert {each.result().status_code for each in waiting} == {200}
    assert sent(held.address, RED).status_code == 200


def test_images_that_have_all_come_at_once_are_counted_too(held, monkeypatch):
    """As when they were on their way before there were too many."""
    monkeypatch.setattr(limits.Limits, "_check", lambda *_: None)
    monkeypatch.setattr(limits, "WAITING", 3)
    with ThreadPoolExecutor(3) as pool:
        waiting = send_many(held, pool, 3)
        assert sent(held.address, RED).status_code == 503
        held.free()
        assert {each.result().status_code for each in waiting} == {200}


def test_the_image_of_a_client_that_has_left_is_not_looked_at(held):
    with ThreadPoolExecutor(1) as pool:
        [first] = send_many(held, pool, 1)
        with opened(held.address) as client:
            body = START + RED + b"\r\n--x--"
            client.sendall(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            wait_until(held, 2)
        held.free()
        assert first.result().status_code == 200
    wait_until(held, 0)
    assert sent(held.address, RED).status_code == 200
    assert len(held.seen) == 2


def test_images_are_answered_one_at_a_time(project):
    inside, most = 0, 0

    def slow(pixels: np.ndarray) -> np.ndarray:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.05)
        inside -= 1
        return colours.fractions(pixels)

    with (
        served(colours.responder(probabilities=slow)) as address,
        ThreadPoolExecutor(5) as pool,
    ):
        assert {each.status_code for each in pool.map(sent, [address] * 5, [RED] * 5)} == {200}
    assert most == 1


def test_a_body_that_does_not_come_ends_with_408(project, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS", 0.3)
    with served(colours.responder()) as address, opened(address) as client:
        client.sendall(HEAD + b"Content-Length: 99\r\n\r\n--x")
        said = rest(client)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert said.endswith(b'{"error":"the request did not come within 0.3 seconds"}')
        assert sent(address, RED).status_code == 200


@pytest.mark.parametrize(
    "begun", [b"", HEAD, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET"]
)
def test_clients_that_stand_still_are_let_go(project, monkeypatch, begun):
    """Silent ones, those within the head, also of a second request."""
    monkeypatch.setattr(connection, "SECONDS", 0.5)
    with served(colours.responder()) as address:
        clients = [opened(address) for _ in range(101)]
        for client in clients:
            client.sendall(begun)
        for client in clients:
            assert (b"200 OK" in rest(client)) == begun.startswith(b"GET")
            client.close()
        assert sent(address, RED).status_code == 200


def test_clients_that_do_not_take_their_answer_are_let_go(project, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS", 0.5)
    ended, lost = threading.Event(), connection.Connection.connection_lost

    def connection_lost(self, exc) -> None:
        lost(self, exc)
        if self.headers and (b"x-mine", b"1") in self.headers:
            ended.set()

    monkeypatch.setattr(connection.Connection, "connection_lost", connection_lost)
    with served(colours.responder(), ["x" * 50_000_000]) as address, opened(address) as client:
        client.sendall(b"GET /run HTTP/1.1\r\nHost: localhost\r\nX-Mine: 1\r\n\r\n")
        assert ended.wait(60)
        assert requests.get(address, timeout=60).status_code == 200


def test_a_request_that_takes_long_to_answer_is_not_cut_off(held, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS", 0.3)
    with ThreadPoolExecutor(1) as pool:
        [only] = send_many(held, pool, 1)
        threading.Event().wait(0.9)
        held.free()
        assert only.result().json()["label"] == "red"


def test_there_is_a_most_of_connections(project, monkeypatch):
    monkeypatch.setattr(connection, "CONNECTIONS", 5)
    with served(colours.responder()) as address:
        clients = [opened(address) for _ in range(5)]
        assert requests.get(address, timeout=60).status_code == 503
        for client in clients:
            client.close()
        while requests.get(address, timeout=60).status_code != 200:
            pass


@pytest.mark.slow
def test_the_page_tries_again_when_too_many_wait(project, monkeypatch):
    monkeypatch.setattr(limits, "WAITING", 0)
    monkeypatch.setattr(limits, "RETRY_AFTER", 1)
    (project / "a.png").write_bytes(RED)
    with served(colours.responder()) as address, chromium() as started:
        page = started.new_page()
        page.goto(address)
        with page.expect_response(lambda answer: answer.status == 503):
            page.set_input_files("#files", "a.png")
        monkeypatch.setattr(limits, "WAITING", 64)
        expect(page.locator(".answer .label").first).to_have_text("red", timeout=60_000)
        expect(page.locator(".answer .error")).to_be_hidden()
