import hashlib

import pytest

from thaw.project import files, snapshots
from thaw.project.errors import UserError

BEFORE, AFTER = b"before" * 7, b"after" * 7


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(BEFORE)
    return path


def test_bytes_stay_what_they_were(file):
    with snapshots.opened(file) as opened:
        file.write_bytes(AFTER)
        assert opened.read() == BEFORE
        assert snapshots.sha256(opened) == hashlib.sha256(BEFORE).hexdigest()


@pytest.mark.parametrize("largest", [3, 1000])
def test_who_reads_on_does_so_where_they_were(file, monkeypatch, largest):
    monkeypatch.setattr(snapshots, "IN_MEMORY", largest)
    with snapshots.opened(file) as opened:
        assert opened.read(3) == b"bef"
        assert snapshots.beginning(opened, 7) == b"beforeb"
        assert snapshots.sha256(opened) == hashlib.sha256(BEFORE).hexdigest()
        assert opened.read(3) == b"ore"


def test_a_large_file_is_not_in_memory_and_refused_when_it_is_written_to(file, monkeypatch):
    monkeypatch.setattr(snapshots, "IN_MEMORY", 3)
    with snapshots.opened(file) as opened:
        assert opened.fileno() > 2
        assert not isinstance(opened.name, str)  # by which Pillow would open it anew
        assert opened.read() == BEFORE
    with (
        pytest.raises(UserError, match=r"image\.png changed while it was read; run this again"),
        snapshots.opened(file),
        open(file, "r+b") as same,
    ):
        same.write(b"x")


def test_a_copy_has_the_digest_or_is_refused(file):
    digest = files.sha256(file)
    with snapshots.copied(file, digest) as copy:
        file.write_bytes(AFTER)
        assert (copy.name, copy.read_bytes()) == (file.name, BEFORE)
    assert not copy.exists()
    with (
        pytest.raises(UserError, match=r"image\.png changed after its digest was taken; run this"),
        snapshots.copied(file, digest),
    ):
        pass


def test_what_is_said_of_a_copy_names_the_file(file):
    with (
        pytest.raises(UserError) as caught,
        snapshots.copied(file, files.sha256(file)) as copy,
    ):
        raise UserError(f"{copy}: damaged", hint="make it again")
    assert str(caught.value) == f"{file}: damaged; make it again"
