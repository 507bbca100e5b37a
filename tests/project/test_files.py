import errno
import fcntl
import json
import os
import stat
from contextlib import contextmanager

import pandas as pd
import pytest

from thaw.project import files


def test_replacing_a_file_and_a_folder(tmp_path):
    for name in ("a.weights.h5", "b.weights.h5"):
        with files.replacing(tmp_path / "deep" / "x.weights.h5") as partial:
            assert partial.name.endswith(".weights.h5")
            partial.write_text(name)
    assert (tmp_path / "deep/x.weights.h5").read_text() == "b.weights.h5"
    for name in ("one", "two"):
        with files.replacing(tmp_path / "folder") as partial:
            partial.mkdir()
            (partial / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["two"]


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "x").write_text("old")

    def fail_half_way():
        with files.replacing(tmp_path / "x") as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]


def test_what_killed_runs_left_goes_and_what_is_written_stays(tmp_path):
    for left in ("partial-x-1", "partial-x-2", "partial-y-3"):
        (tmp_path / left).mkdir()
        (tmp_path / left / left[8]).write_text("half")
    with open_locked(tmp_path / "partial-x-2"), files.replacing(tmp_path / "x") as partial:
        partial.write_text("whole")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["partial-x-2", "partial-y-3", "x"]


@contextmanager
def open_locked(folder):
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
    os.close(lock)


def test_a_new_folder_that_another_process_removes_at_once_is_made_again(tmp_path, monkeypatch):
    make, made = files.tempfile.mkdtemp, []

    def made_and_removed_once(**how):
        made.append(make(**how))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr(files.tempfile, "mkdtemp", made_and_removed_once)
    with files.replacing(tmp_path / "x") as partial:
        partial.write_text("whole")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("x", "whole")]
    assert len(made) == 2


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_two_writers_at_once_each_write_their_own(tmp_path, kind):
    def write(partial, text):
        if kind == "folder":
            partial.mkdir()
            partial /= "inner"
        partial.write_text(text)

    with files.replacing(tmp_path / "x") as slow:
        write(slow, "slow")
        with files.replacing(tmp_path / "x") as fast:
            write(fast, "fast")
            assert set(files.partials_of(tmp_path / "x")) == {slow, fast}
        end = tmp_path / ("x" if kind == "file" else "x/inner")
        assert end.read_text() == "fast"
    assert end.read_text() == "slow"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_what_is_new_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda file: done.append(os.fstat(file).st_ino))
    with files.replacing(tmp_path / "x") as partial:
        partial.write_text("new")
        inode = partial.stat().st_ino
    assert done == [inode, tmp_path.stat().st_ino]


def test_scratch_begins_empty_and_goes(tmp_path):
    (tmp_path / "partial-x").mkdir()
    (tmp_path / "partial-x" / "left").touch()

    def fail_half_way():
        with files.scratch(tmp_path / "partial-x") as folder:
            assert list(folder.iterdir()) == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_the_digest_is_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180-4
    assert files.sha256(tmp_path / "x") == expected


def test_json_is_sorted_and_refuses_nan(tmp_path):
    files.write_json(tmp_path / "x.json", {"b": 1, "a": {"d": 0.5, "c": 2}})
    assert list(json.loads((tmp_path / "x.json").read_text())) == ["a", "b"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "y.json", {"a": float("nan")})
    assert not (tmp_path / "y.json").exists()


def test_csv_keeps_newlines_in_cells(tmp_path):
    table = pd.DataFrame({"path": ["a\nb, c.png", 'quote".png'], "label": ["é", "NA"]})
    files.write_csv(tmp_path / "x.csv", table)
    read = pd.read_csv(tmp_path / "x.csv", dtype=str, keep_default_na=False)
    assert read.equals(table.astype(read.dtypes))


def test_a_table_holds_any_path(tmp_path):
    """Also where pyarrow is installed."""
    odd = os.fsdecode(b"odd \xff.jpg")
    table = pd.DataFrame({"path": [odd, "plain.jpg"]})
    assert table["path"].str.len().tolist() == [9, 9]
    assert table["path"].tolist() == [odd, "plain.jpg"]


def test_room_is_reserved_in_a_file_that_is_not_only_appended_to(tmp_path, monkeypatch):
    """glibc refuses that where the disk cannot reserve, and so no model could be saved there."""
    modes, plain = [], os.posix_fallocate

    def reserve(number, start, size):
        modes.append(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND)
        plain(number, start, size)

    monkeypatch.setattr(os, "posix_fallocate", reserve)
    (tmp_path / "old").write_bytes(b"abc")
    for name in ("old", "new"):
        files.reserve(tmp_path / name, 77)
        assert (tmp_path / name).stat().st_size == 77
    assert (tmp_path / "old").read_bytes().startswith(b"abc")
    assert modes == [0, 0]


def test_a_disk_that_cannot_sync_a_folder_is_no_error(tmp_path, monkeypatch):
    plain = os.fsync

    def fsync(number):
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        plain(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with files.replacing(tmp_path / "x.txt") as partial:
        partial.write_text("x")
    assert (tmp_path / "x.txt").read_text() == "x"
