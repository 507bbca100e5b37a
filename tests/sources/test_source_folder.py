import hashlib
import shutil
from pathlib import Path

import fsspec
import pytest
from pydantic import ValidationError

from tests.conftest import draw_images
from tests.server import running
from thaw.project.errors import UserError
from thaw.sources import datasets, fetch, source_folder
from thaw.sources.settings import ArchiveLimits, Data

SETTINGS = {
    "sha256": None,
    "layout": "auto",
    "labels": None,
    "corrections": None,
    "on_invalid": "fail",
    "max_invalid": 0.1,
    "min_side": 8,
    "max_megapixels": 1.0,
    "archive": ArchiveLimits(max_gigabytes=1.0, max_ratio=100.0, max_members=1000),
}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.001)
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fetched(source: str, sha256: str | None = None) -> Path:
    settings = Data.model_validate({"source": source, **SETTINGS, "sha256": sha256})
    shutil.rmtree("scratch", ignore_errors=True)
    Path("scratch").mkdir()
    return source_folder.fetch_source(settings, Path("scratch"), Path("downloads"))


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def pack(kind: str) -> tuple[Path, str]:
    """Draw images and pack them; return the archive and its digest."""
    draw_images(Path("mine"), {"red": 3, "green": 2})
    path = Path(shutil.make_archive("packed", kind, "mine"))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["folder", "zip", "gztar", "http", "bucket", "packed bucket"])
def test_every_kind_of_source_gives_the_same_files(server, kind):
    path, digest = pack("gztar" if kind == "gztar" else "zip")
    before = names(Path("mine"))
    store = fsspec.filesystem("memory")
    if kind == "folder":
        source, digest = "mine", None
    elif kind == "http":
        server.files["/x"] = path.read_bytes()
        source = f"{server.url}/x"
    elif kind == "bucket":
        store.put("mine", "/pets", recursive=True)
        source, digest = "memory://pets", None
    elif kind == "packed bucket":
        store.put_file(str(path), "/pets.zip")
        source = "memory://pets.zip"
    else:
        source = str(path)
    for wanted in (None, digest):
        assert names(fetched(source, wanted)) == before == names(Path("mine"))
    if digest:
        with pytest.raises(
            UserError, match=f"its SHA-256 is {digest} and not {'0' * 64}, so these"
        ):
            fetched(source, "0" * 64)
    if "bucket" in kind:
        store.rm("/", recursive=True)


def test_an_own_folder_is_read_where_it_is():
    draw_images(Path("mine"), {"red": 2, "green": 2})
    assert fetched("mine") == Path("mine")


def test_digits():
    assert len(names(fetched("digits"))) == 1797


def serve_as(server, monkeypatch, name: str, sha256: str | None, size: int | None = None) -> None:
    path, _ = pack("zip")
    content = path.read_bytes()
    server.files[f"/{name}"] = content
    entry = datasets.NAMED[name]._replace(
        url=f"{server.url}/{name}", size=size or len(content), sha256=sha256
    )
    monkeypatch.setitem(datasets.NAMED, name, entry)


def test_a_named_source_without_a_digest_says_what_to_put_into_params(server, monkeypatch, capsys):
    serve_as(server, monkeypatch, "cats_and_dogs_filtered", None)
    assert names(fetched("cats_and_dogs_filtered")) == names(Path("mine"))
    digest = hashlib.sha256(server.files["/cats_and_dogs_filtered"]).hexdigest()
    assert f"put into params.yaml:\n  sha256: {digest}\n" in capsys.readouterr().out
    fetched("cats_and_dogs_filtered", digest)
    assert "sha256" not in capsys.readouterr().out


def test_the_digest_and_size_of_a_named_source_are_held(server, monkeypatch):
    serve_as(server, monkeypatch, "flower_photos", "0" * 64)
    with pytest.raises(UserError, match=f"flower_photos: its SHA-256 is .* and not {'0' * 64}"):
        fetched("flower_photos")
    serve_as(server, monkeypatch, "flower_photos", None, size=7)
    with pytest.raises(UserError, match=r"flower_photos: has \d+ bytes and not 7"):
        fetched("flower_photos")


@pytest.mark.parametrize("source", ["digits", "mine", "memory://pets"])
def test_what_is_no_single_file_has_no_digest(source):
    Path("mine").mkdir()
    fsspec.filesystem("memory").pipe("/pets/cat/1.png", b"one")
    with pytest.raises(UserError, match=r"\[data.sha256\]: .* no single file.* set data.sha256 to"):
        fetched(source, "0" * 64)


def test_a_source_that_holds_the_outputs_is_refused(tmp_path):
    for source in (".", str(tmp_path.parent)):
        with pytest.raises(UserError, match="contains this project's outputs; name the folder"):
            fetched(source)


def test_a_link_in_images_is_used_and_said(capsys):
    draw_images(Path("mine"), {"red": 2, "green": 2})
    Path("images").mkdir()
    Path("images/pets").symlink_to("../mine")
    told = "images/pets is a link to folders, and DVC does not look there: after a change in them "
    told += "run `dvc repro --force download && dvc repro`\n"
    for source in ("images/pets", "images"):
        assert fetched(source) == Path(source)
        assert capsys.readouterr().out == told
    Path("elsewhere").symlink_to("mine")
    assert fetched("elsewhere") == Path("elsewhere")
    assert capsys.readouterr().out == ""
    Path("images/more").symlink_to("../mine")
    fetched("images")
    assert "images/more and 1 more are links to folders" in capsys.readouterr().out


def test_no_digest_of_a_page_is_offered_and_it_is_not_kept(server, capsys):
    server.files["/x.zip"] = b"<!DOCTYPE html><html><title>Sign in</title></html>"
    with pytest.raises(UserError, match=r"/x\.zip: an HTML page, not an archive; open its address"):
        fetched(f"{server.url}/x.zip")
    assert capsys.readouterr().out == ""
    assert not Path("downloads/archive").exists()


def test_a_damaged_download_is_not_kept(server):
    path, _ = pack("gztar")
    whole = path.read_bytes()
    server.files["/x"] = whole[: len(whole) // 2]
    with pytest.raises(UserError, match=r"/x: damaged"):
        fetched(f"{server.url}/x")
    server.files["/x"] = whole  # of the same version, as the server says
    assert names(fetched(f"{server.url}/x")) == names(Path("mine"))
    path.write_bytes(whole[:99])
    with pytest.raises(UserError, match="damaged"):
        fetched(str(path))
    assert path.exists()


@pytest.mark.parametrize("source", ["data/raw", "./data", "models/../data/x"])
def test_a_source_that_dvc_would_delete_is_refused(source):
    with pytest.raises(ValidationError, match="outside of data/, models/ and metrics/"):
        Data.model_validate({"source": source, **SETTINGS})
    Data.model_validate({"source": "https://example.com/data/x.zip", **SETTINGS})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "no/such/place",
            r"\[data.source\]: 'no/such/place' is no known name and neither a folder",
        ),
        (
            "no/such/place",
            r"check the path \(names are digits, cats_and_dogs_filtered, cats_vs_dog",
        ),
        ("flower_photo", r"check the path \(did you mean flower_photos\?\)"),
        ("images/pets", r"'images/pets' is not here yet; run `dvc pull images/pets.dvc`"),
        ("cut.zip", r"^cut\.zip: damaged or incomplete archive; fetch it again"),
        ("text.zip", "^text.zip: an HTML page, not an archive; open its address in a browser"),
        ("{server}/none.zip", r"none\.zip: the server answers 404 Not Found; check the address"),
        ("{server}/page", r"/page: an HTML page, not an archive; open its address"),
    ],
)
def test_a_source_that_cannot_be_had_is_named(server, source, message):
    Path("text.zip").write_text("<html>")
    Path("cut.zip").write_bytes(b"PK\x03\x04 and no more")
    Path("images").mkdir()
    Path("images/pets.dvc").touch()
    server.files["/page"] = b"<html>"
    with pytest.raises(UserError, match=message):
        fetched(source.format(server=server.url))


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    draw_images(tmp_path / "home/pets", {"red": 2, "green": 2})
    assert fetched("~/pets") == tmp_path / "home/pets"
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ValidationError, match="outside of data/, models/ and metrics/"):
        Data.model_validate({"source": "~/data/raw", **SETTINGS})
    with pytest.raises(UserError, match=r"'\S*/none' is no known name"):
        fetched("~/none")
