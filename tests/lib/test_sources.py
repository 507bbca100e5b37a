import functools
import http.server
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from sklearn.datasets import load_digits

from stages.lib import sources
from stages.lib.errors import UserError
from tests.conftest import draw_pictures


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/short.zip":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"too short")
        else:
            super().do_GET()

    def log_message(self, *_): ...


@pytest.fixture
def server(tmp_path):
    """Serve `tmp_path/www` on loopback; gives its address."""
    (tmp_path / "www").mkdir()
    handler = functools.partial(Handler, directory=tmp_path / "www")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_digits(tmp_path):
    sources.fetch("digits", tmp_path / "raw")
    digits = load_digits()
    assert len(names(tmp_path / "raw")) == 1797
    for number in (0, 911, 1796):
        path = tmp_path / "raw" / str(digits.target[number]) / f"{number:04d}.png"
        pixels = np.asarray(Image.open(path))
        assert pixels.dtype == "uint8"
        assert np.array_equal(np.round(pixels / (255 / 16)), digits.images[number])


@pytest.mark.parametrize("kind", ["folder", "zip", "gztar", "http"])
def test_every_kind_of_source_gives_the_same_files(tmp_path, server, kind):
    draw_pictures(tmp_path / "mine", {"red": 3, "green": 2})
    source = str(tmp_path / "mine")
    if kind == "http":
        shutil.make_archive(str(tmp_path / "www" / "mine"), "zip", tmp_path / "mine")
        source = f"{server}/mine.zip"
    elif kind != "folder":
        source = shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "mine")
    before = names(tmp_path / "mine")
    sources.fetch(source, tmp_path / "raw")
    assert names(tmp_path / "raw") == before == names(tmp_path / "mine")
    assert not list(tmp_path.glob("partial-*"))


def test_hidden_files_of_a_folder_are_not_copied(tmp_path):
    draw_pictures(tmp_path / "mine", {"red": 2, "green": 2})
    (tmp_path / "mine/.git").mkdir()
    (tmp_path / "mine/.git/x").touch()
    sources.fetch(str(tmp_path / "mine"), tmp_path / "raw")
    assert not list((tmp_path / "raw").rglob(".*"))


def test_a_source_that_holds_the_outputs_is_refused(tmp_path, monkeypatch):
    draw_pictures(tmp_path, {"red": 2, "green": 2})
    monkeypatch.chdir(tmp_path)
    for source in (".", str(tmp_path.parent)):
        with pytest.raises(UserError, match="contains this project's outputs"):
            sources.fetch(source, Path("data/raw"))


@pytest.mark.parametrize("source", ["data/raw", "./data", "models/../data/x"])
def test_a_source_that_dvc_would_delete_is_refused(source):
    with pytest.raises(ValidationError, match="outside of data/, models/ and metrics/"):
        sources.Data(source=source, on_bad="fail")
    sources.Data(source="https://example.com/data/x.zip", on_bad="fail")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/place", r"\[data.source\]: 'no/such/place' is neither"),
        ("{root}/cut.zip", r"cut\.zip: damaged or incomplete archive; fetch it again"),
        ("{root}/text.zip", "is no zip or tar archive; name an archive or the folder"),
        ("{server}/none.zip", r"none\.zip: 404 .*; check the address and the network"),
        (
            "{server}/short.zip",
            r"short\.zip: .*9 bytes read, 991 more expected.*; check the address and the network",
        ),
        ("http://127.0.0.1:9/x.zip", r"127\.0\.0\.1.* check the address and the network"),
    ],
)
def test_a_source_that_cannot_be_had_is_named(tmp_path, server, source, message):
    (tmp_path / "text.zip").write_text("<html>")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match=message):
        sources.fetch(source.format(root=tmp_path, server=server), tmp_path / "raw")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.zip", "text.zip", "www"]
