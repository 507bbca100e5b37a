"""An HTTP server on loopback that misbehaves on purpose, each path in its own way."""

import contextlib
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

CONTENT = Random(0).randbytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves `files` by path; `requests` holds what was asked for, as (path, Range header)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/good": CONTENT}
        self.requests: list[tuple[str, str | None]] = []
        self.etags: dict[str, str] = {}
        self.moves: dict[str, str] = {}  # where a path redirects to

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_) -> None:
        """Say nothing of clients that hang up."""

    def count(self, path: str) -> int:
        return Counter(each for each, _ in self.requests)[path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Range"]))
        misbehave = getattr(self, f"get_{self.path.strip('/')}", None)
        with contextlib.suppress(ConnectionError):
            if misbehave:
                misbehave()
            elif self.path in self.server.moves:
                self.redirect(self.server.moves[self.path])
            elif self.path in self.server.files:
                self.send(self.server.files[self.path])
            else:
                self.send_error(404)

    def send(self, content: bytes, part: int | None = None, tag: bool = True) -> None:
        """Answer whole or by range; with `part`, break off after so many bytes."""
        etag = self.server.etags.get(self.path, '"1"')
        if tag and self.headers["If-None-Match"] == etag:
            self.send_response(304)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        wanted = re.match(r"bytes=(\d+)-", self.headers["Range"] or "")
        if wanted and tag and self.headers["If-Range"] == etag:
            start = int(wanted[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if tag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        self.wfile.write(body if part is None else body[:part])
        self.close_connection = part is not None

    def get_flaky(self) -> None:
        self.send(CONTENT, part=70_000)

    def get_flaky_without_version(self) -> None:
        last = self.server.count(self.path) >= 3
        self.send(CONTENT, part=None if last else 70_000, tag=False)

    def get_short(self) -> None:
        self.send(CONTENT, part=9, tag=False)

    def get_standstill(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"some")
        self.wfile.flush()
        time.sleep(2)

    def get_drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.05)

    def get_silent(self) -> None:
        time.sleep(2)
        self.close_connection = True

    def get_busy(self) -> None:
        if self.server.count(self.path) < 3:
            self.send_error(503)
        else:
            self.send(CONTENT)

    def get_broken(self) -> None:
        self.send_error(500)

    def get_forbidden(self) -> None:
        self.send_error(403)

    def get_moved(self) -> None:
        self.redirect("/good")

    def get_circle(self) -> None:
        self.redirect("/circle")

    def redirect(self, path: str) -> None:
        self.send_response(302)
        self.send_header("Location", path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def get_unknown_length(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)
        self.close_connection = True

    def get_packed_by_the_server(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "x-gzip")
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def get_patience(self) -> None:
        self.send_response(503)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def get_elsewhere(self) -> None:
        if not self.headers["Range"]:
            return self.send(CONTENT, part=70_000)
        self.send_response(206)
        self.send_header("Content-Range", "bytes 7-9/300000")
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"...")

    def get_no_further(self) -> None:
        if self.headers["Range"]:
            self.send_error(416)
        else:
            self.send(CONTENT, part=None if self.server.count(self.path) > 2 else 70_000)

    def log_message(self, *_) -> None: ...


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Run a server for the length of the block."""
    with Server() as server:
        # it ends when it next looks whether it should
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
