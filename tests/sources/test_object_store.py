import fsspec
import pytest

from thaw.project.errors import UserError
from thaw.sources import object_store


@pytest.fixture
def bucket():
    store = fsspec.filesystem("memory")
    store.mkdir("/empty")
    store.pipe({"/pets/cat/1.png": b"one", "/pets/dog/deep/2.png": b"two", "/pets.zip": b"zip"})
    yield store
    store.rm("/", recursive=True)


def test_a_folder_of_an_object_store(bucket, tmp_path):
    folder = object_store.fetch("memory://pets", tmp_path)
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.png")}
    assert files == {"cat/1.png": b"one", "dog/deep/2.png": b"two"}


def test_a_file_of_an_object_store(bucket, tmp_path):
    assert object_store.fetch("memory://pets.zip", tmp_path).read_bytes() == b"zip"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://none.zip", "memory://none.zip: .*none.zip; check the address and your rights"),
        ("gs://bucket/x.zip", r"addresses of gs:// cannot be read here .* `pip install dvc\[gs\]`"),
        (
            "memory://empty",
            r"\[data.source\]: memory://empty is an empty folder; check the address",
        ),
        ("memory://pets/none/", "check the address and your rights to it"),
        ("nosuch://x", r"\[data.source\]: addresses of nosuch:// cannot be read here"),
    ],
)
def test_an_object_that_cannot_be_had_is_named(bucket, tmp_path, url, message):
    with pytest.raises(UserError, match=message):
        object_store.fetch(url, tmp_path)


def test_an_object_that_would_leave_the_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="would leave the folder; rename it"):
        object_store._inside(tmp_path, "/pets", "/pets/../../x")
