import fcntl
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.imports import ROOT
from thaw.features import store_file
from thaw.features.store import FeatureStore

KEYS = [bytes([number]) * 32 for number in range(17)]
VALUES = [bytes([number, 255]) * 500 for number in range(17)]
BY_EARLIER_VERSIONS = """
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, value BLOB, used REAL);
"""


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "cache" / "features.sqlite"


def fill(file: Path) -> None:
    with FeatureStore(file, 1.0) as opened:
        opened.put(zip(KEYS, VALUES))


def found(file: Path) -> int:
    with FeatureStore(file, 1.0) as opened:
        return len(opened.get(KEYS))


def damage(file: Path) -> None:
    """Damage all pages but the first, as a disk does."""
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def fill_with_zeros(file: Path) -> None:
    """Leave all but the first page as a power cut does."""
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\0" * (len(content) - 4096))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_has_a_mark_and_needs_no_shared_memory(file):
    with FeatureStore(file, 1.0) as opened:
        opened.put(zip(KEYS, VALUES))
        assert opened.get(KEYS) == dict(zip(KEYS, VALUES))
        assert opened.connection.execute("PRAGMA journal_mode").fetchall() == [("truncate",)]
        assert {path.name for path in file.parent.iterdir()} == {file.name, f"{file.name}-journal"}
    assert file.read_bytes()[68:72] == b"thaw"
    assert contents(file.parent).keys() == {file.name, f"{file.name}-journal"}


@pytest.mark.parametrize("how", [damage, cut, fill_with_zeros])
def test_a_damaged_file_is_said_removed_and_begun_anew(file, capsys, how):
    fill(file)
    how(file)
    assert found(file) == 0
    said = capsys.readouterr().err
    assert said.count("malformed; going on without it (it was damaged; it is deleted)") == 1
    assert contents(file.parent) == {}
    fill(file)
    assert found(file) == 17
    assert capsys.readouterr().err == ""


HOLDER = """
import sys; from pathlib import Path; from thaw.features.store import FeatureStore
with FeatureStore(Path(sys.argv[1]), 1.0) as kept:
    print(len(kept.get([bytes([7]) * 32])), flush=True)
    sys.stdin.read()
"""


def test_a_damaged_file_stays_while_another_process_has_it_open(file, capsys):
    fill(file)
    command = [sys.executable, "-c", HOLDER, file]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as holder:
        assert holder.stdout.readline() == b"1\n"
        damage(file)
        damaged = contents(file.parent)
        assert found(file) == 0
        said = "(it was damaged; delete it, unless another process has it open)\n"
        assert capsys.readouterr().err.endswith(said)
        assert contents(file.parent) == damaged
        holder.stdin.close()
        assert holder.wait() == 0
    assert found(file) == 0
    assert contents(file.parent) == {}


def test_a_folder_that_is_locked_alone_is_not_waited_for(file, monkeypatch, capsys):
    """As a stage locks its checkout, where runtime.store names that."""
    flock = fcntl.flock

    def at_once(folder, kind):
        assert kind & fcntl.LOCK_NB
        flock(folder, kind)

    file.parent.mkdir()
    alone = os.open(file.parent, os.O_RDONLY)
    flock(alone, fcntl.LOCK_EX)
    monkeypatch.setattr(store_file.fcntl, "flock", at_once)
    fill(file)
    assert found(file) == 17
    assert capsys.readouterr().err == ""
    damage(file)
    assert found(file) == 0
    assert file.exists()
    os.close(alone)
    assert found(file) == 0
    assert not file.exists()


def test_without_locks_nobody_knows_and_nothing_is_deleted(file, monkeypatch):
    def flock(*_):
        raise OSError(95, "Operation not supported")

    fill(file)
    damage(file)
    with monkeypatch.context() as patch:
        patch.setattr(store_file.fcntl, "flock", flock)
        assert found(file) == 0
    assert file.exists()
    assert found(file) == 0
    assert not file.exists()


WRITER = """
import itertools, sys; from pathlib import Path; from thaw.features.store import FeatureStore
with FeatureStore(Path(sys.argv[1]), 1.0) as kept:
    for start in itertools.count(0, 9):
        numbers = range(start, start + 9)
        kept.put((number.to_bytes(32), number.to_bytes(32) * 300) for number in numbers)
        print(start, flush=True)
"""


def test_killed_processes_do_it_no_harm(file, capsys):
    for number in range(3):
        command = [sys.executable, "-c", WRITER, file]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
            for _ in range(5 + 7 * number):
                written = int(writer.stdout.readline())
            writer.kill()
        with FeatureStore(file, 1.0) as opened:
            assert opened.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            keys = [each.to_bytes(32) for each in range(written + 9)]
            assert opened.get(keys) == {key: key * 300 for key in keys}
    assert capsys.readouterr().err == ""


def a_database(statements: str, file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(statements)


def a_database_in_use(file: Path) -> None:
    """Leave all in a write-ahead log, as a program does that was killed."""
    other = file.with_name("other.sqlite")
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE mine (x);")
        for ending in ("", "-wal"):
            Path(f"{file}{ending}").write_bytes(Path(f"{other}{ending}").read_bytes())


FOREIGN = {
    "text": lambda file: file.write_text("my notes, which are long enough\n" * 300),
    "short text": lambda file: file.write_text("a"),
    "zeros": lambda file: file.write_bytes(b"\0" * 9000),
    "database": lambda file: a_database("CREATE TABLE mine (x)", file),
    "database of other features": lambda file: a_database("CREATE TABLE features (x)", file),
    "database with one table more": lambda file: a_database(
        f"{BY_EARLIER_VERSIONS} CREATE TABLE mine (x)", file
    ),
    "marked database": lambda file: a_database(
        f"PRAGMA application_id = 7; {BY_EARLIER_VERSIONS}", file
    ),
    "empty database": lambda file: a_database("PRAGMA user_version = 3", file),
    "database in use": a_database_in_use,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_others_is_neither_written_to_nor_removed(file, capsys, kind):
    file.parent.mkdir()
    FOREIGN[kind](file)
    before = contents(file.parent)
    fill(file)
    assert found(file) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert f"{file}: this file is no feature store, or its beginning is damaged; going" in said[0]
    assert said[0].endswith("(move it away, or let runtime.store name another folder)")
    assert contents(file.parent) == before


def test_a_file_of_earlier_versions_goes_on(file, capsys):
    file.parent.mkdir()
    a_database(BY_EARLIER_VERSIONS, file)
    fill(file)
    assert found(file) == 17
    assert file.read_bytes()[68:72] == b"thaw"
    assert capsys.readouterr().err == ""


def test_a_file_that_was_only_begun_goes_on(file):
    file.parent.mkdir()
    file.touch()
    fill(file)
    assert found(file) == 17


def test_a_full_disk_is_said_with_what_to_do(file, capsys):
    with FeatureStore(file, 1.0) as opened:
        opened.connection.execute("PRAGMA max_page_count = 25")
        opened.put(zip(KEYS, VALUES * 9))
        opened.put([(KEYS[0], b"x" * 90_000)])
        assert opened.get(KEYS) == {}
    said = capsys.readouterr().err
    assert said.count("is full; going on without it (make room on its disk, or let") == 1
    assert found(file) == 17


@pytest.mark.parametrize("error", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, None])
def test_what_is_locked_or_out_of_reach_is_not_damaged(error):
    raised = sqlite3.OperationalError()
    raised.sqlite_errorcode = error
    assert not store_file.is_damage(raised)
    assert store_file.advice(raised, Path("x")).startswith("on a network disk, let runtime.store")
    raised.sqlite_errorcode = sqlite3.SQLITE_CORRUPT | 2 << 8
    assert store_file.is_damage(raised)
