"""The page's command under many clients at once, with stalled ones among them.

THAW_LOAD_SECONDS=60 pytest tests/tools/serving/test_load.py -s   # for a minute, with figures
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.tools.serving.test_limits import HEAD, rest
from tests.tools.test_serve import running
from tools import predict
from tools.serving import connection

SECONDS = float(os.environ.get("THAW_LOAD_SECONDS", 15))
CLIENTS, STALLED = 32, 40
CHEAP = ("/", "/healthz", "/run", "/static/page.js")
GROWTH = 100e6  # bytes that memory may grow by once all is warm


def until(end: float, call: Callable[[int], None]) -> int:
    """Call with 0, 1, ... until the time has come; return how often."""
    count = 0
    while time.monotonic() < end:
        call(count)
        count += 1
    return count


def expected(capsys) -> dict[str, dict[str, float]]:
    """Return what tools.predict says of each image: the probability of each class."""
    predict.main()
    rows = json.loads(capsys.readouterr().out)
    return {
        row["path"]: {each["class"]: each["probability"] for each in row["predictions"]}
        for row in rows
    }


@pytest.mark.slow
def test_each_answer_is_predict_s_and_cheap_routes_do_not_wait(exported, monkeypatch, capsys):
    files = sorted(map(str, Path("images").rglob("*.jpg")))
    monkeypatch.setattr("sys.argv", ["predict", "--format", "json", "--top", "3", *files])
    right = expected(capsys)
    took: list[float] = []
    with running() as (address, process), ThreadPoolExecutor(CLIENTS) as pool:
        host, port = address.removeprefix("http://").split(":")
        stalled = [socket.create_connection((host, int(port))) for _ in range(STALLED)]
        for number, client in enumerate(stalled):
            client.sendall((b"", HEAD, HEAD + b"Content-Length: 99\r\n\r\n--x")[number % 3])
        sessions, cheap = threading.local(), requests.Session()

        def ask(client: int, number: int) -> None:
            sessions.own = getattr(sessions, "own", None) or requests.Session()
            path = files[(7 * client + number) % len(files)]
            with open(path, "rb") as file:
                route = "/look" if number % 5 == 4 else "/predict"
                answer = sessions.own.post(address + route, files={"file": file}, timeout=120)
            assert answer.json()["probabilities"] == pytest.approx(right[path], abs=2e-6)

        def look(number: int) -> None:
            began = time.monotonic()
            answer = cheap.get(address + CHEAP[number % len(CHEAP)], timeout=120)
            took.append(time.monotonic() - began)
            assert answer.status_code == 200
            time.sleep(0.05)

        def load(seconds: float) -> int:
            end = time.monotonic() + seconds
            asked = [pool.submit(until, end, lambda n, c=c: ask(c, n)) for c in range(CLIENTS - 1)]
            pool.submit(until, end, look).result()
            return sum(each.result() for each in asked)

        load(SECONDS / 3)
        memory = psutil.Process(process.pid).memory_info
        warm = memory().rss
        took.clear()
        answered = load(SECONDS)
        grown = memory().rss - warm
        for client in stalled:
            client.settimeout(4 * connection.SECONDS)
            rest(client)
            client.close()
    took.sort()
    median, most, largest = (1e3 * took[int(len(took) * part)] for part in (0.5, 0.99, 0.9999))
    print(
        f"\n{answered / SECONDS:.0f} images/s for {CLIENTS - 1} clients; {len(took)} cheap ones: "
        f"median {median:.0f} ms, 99 of 100 under {most:.0f}, all under {largest:.0f}; memory "
        f"{grown / 1e6:+.1f} MB of {warm / 1e6:.0f}"
    )
    assert answered > CLIENTS
    assert grown < GROWTH
