import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.imports import ROOT
from thaw.features import store, store_file
from thaw.project import software

KEYS = [bytes([number]) * 32 for number in range(17)]
VALUES = [bytes([number, 255]) * 500 for number in range(17)]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cache" / "features.sqlite"


@pytest.fixture
def kept(file):
    with store.FeatureStore(file, 1.0) as opened:
        opened.put(zip(KEYS, VALUES))
        yield opened


def test_what_was_put_is_found_again_by_another(kept, file):
    with store.FeatureStore(file, 1.0) as other:
        assert other.get(KEYS[3:9]) == dict(zip(KEYS[3:9], VALUES[3:9]))
        assert other.get([b"no such key"]) == {}
        assert other.get([]) == {}
        assert other.count() == 17


def test_more_keys_than_one_question_may_have(file):
    keys = [number.to_bytes(32, "big") for number in range(1234)]
    with store.FeatureStore(file, 1.0) as opened:
        opened.put((key, key) for key in keys)
        assert opened.get(keys) == {key: key for key in keys}


def test_a_damaged_value_counts_as_missing(kept, file):
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE features SET value = ? WHERE key = ?", (b"x" * 1008, KEYS[2]))
        connection.execute("UPDATE features SET value = NULL WHERE key = ?", (KEYS[4],))
    connection.close()
    assert set(kept.get(KEYS)) == set(KEYS) - {KEYS[2], KEYS[4]}


def test_a_value_of_another_key_counts_as_missing(kept, file):
    with sqlite3.connect(file) as connection:
        other = connection.execute("SELECT value FROM features WHERE key = ?", (KEYS[3],))
        connection.execute(
            "UPDATE features SET value = ? WHERE key = ?", (*other.fetchone(), KEYS[2])
        )
    connection.close()
    assert set(kept.get(KEYS)) == set(KEYS) - {KEYS[2]}


def test_a_place_that_cannot_be_written_is_said(tmp_path, capsys):
    (tmp_path / "file").touch()
    with store.FeatureStore(tmp_path / "file/features.sqlite", 1.0) as opened:
        opened.put(zip(KEYS, VALUES))
        assert opened.get(KEYS) == {}
    said = capsys.readouterr().err
    assert said.count("going on without it (let runtime.store name a folder that can be wri") == 1


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_disk_that_gives_no_lock_costs_seconds_and_no_minute(file, capsys, monkeypatch, journal):
    """As a network disk does that SQLite cannot lock: here another process holds the lock."""
    assert store_file.FIRST_LOCK < 10
    monkeypatch.setattr(store_file, "FIRST_LOCK", 0.2)
    with store.FeatureStore(file, 1.0) as opened:
        opened.put(zip(KEYS, VALUES))
    holder = sqlite3.connect(file)
    holder.execute(f"PRAGMA journal_mode = {journal}")
    holder.execute("BEGIN EXCLUSIVE")
    start = time.monotonic()
    with store.FeatureStore(file, 1.0) as opened:
        opened.put(zip(KEYS, VALUES))
        assert opened.get(KEYS) == {}
    assert time.monotonic() - start < 10
    holder.close()
    said = capsys.readouterr().err
    assert said.count("database is locked; going on without it (on a network disk, let") == 1
    with store.FeatureStore(file, 1.0) as opened:  # a lock that is held later is waited for
        [(wait,)] = opened.connection.execute("PRAGMA busy_timeout").fetchall()
    assert wait == 1000 * store_file.WAIT


def test_nowhere_keeps_nothing():
    with store.FeatureStore(None, 1.0) as opened:
        opened.put(zip(KEYS, VALUES))
        assert opened.get(KEYS) == {}


def test_what_was_not_used_for_longest_goes_first(file):
    big = [bytes([number]) * 20_000 for number in range(30)]
    keys = [bytes([number]) * 32 for number in range(30)]
    with store.FeatureStore(file, 0.0004) as opened:  # 400 kB
        for key, value in zip(keys[:15], big):
            opened.put([(key, value)])
        opened.get(keys[:3])
        for key, value in zip(keys[15:], big[15:]):
            opened.put([(key, value)])
        left = opened.get(keys)
        assert opened.size() <= 400_000
        assert set(keys[:3]) <= set(left)
        assert not set(keys[3:8]) & set(left)
        assert set(keys[25:]) <= set(left)
        opened.prune(0)
        assert opened.count() == 0
    assert file.stat().st_size < 100_000


def test_what_is_too_large_is_not_kept(file, monkeypatch):
    monkeypatch.setattr(store, "LARGEST", 900)
    with store.FeatureStore(file, 1.0) as opened:
        opened.put([(b"small", b"x" * 900), (b"large", b"x" * 901)])
        assert opened.get([b"small", b"large"]).keys() == {b"small"}
    with store.FeatureStore(file, 0.000002) as opened:  # 2 kB
        opened.put([(b"a quarter", b"x" * 501)])
        assert opened.get([b"a quarter"]) == {}


def test_many_processes_at_once(file):
    code = (
        "import sys; from thaw.features import store\n"
        "with store.FeatureStore(__import__('pathlib').Path(sys.argv[1]), 1.0) as kept:\n"
        "    for n in range(60):\n"
        "        kept.put([(f'{n % 40} {sys.argv[2]}'.encode(), b'v' * 9000)])\n"
        "        assert kept.get([f'{n % 40} {sys.argv[2]}'.encode()])\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, file, str(n % 3)], cwd=ROOT) for n in range(4)
    ]
    assert [each.wait() for each in running] == [0] * 4
    with store.FeatureStore(file, 1.0) as opened:
        assert opened.count() == 120


def test_keys_tell_images_copies_and_making_apart():
    made = {"backbone": "a", "image_size": 32}
    plain, copies = store.keys(made, ["x", "y"]), store.keys(made, ["x", "y"], 2)
    other = store.keys({**made, "image_size": 48}, ["x", "y"])
    assert (plain.shape, copies.shape) == ((2,), (2, 2))
    everything = [*plain, *copies.ravel(), *other]
    assert len(set(everything)) == 8
    assert {len(key) for key in everything} == {32}
    assert np.array_equal(store.keys(made, ["x", "y"]), plain)
    assert store.keys(made, [], 3).shape == (0, 3)


def test_another_version_has_other_keys(monkeypatch):
    before = store.keys({}, ["x"])
    monkeypatch.setattr(software.metadata, "version", lambda _: "0")
    assert store.keys({}, ["x"])[0] != before[0]


def test_other_instructions_have_other_keys(monkeypatch):
    before = store.keys({}, ["x"])
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert store.keys({}, ["x"])[0] != before[0]
    monkeypatch.undo()
    lesser = {"SIMD Extensions": {"found": ["X86_V2"]}}
    monkeypatch.setattr(software.np, "show_config", lambda mode: lesser)
    assert store.keys({}, ["x"])[0] != before[0]
