import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import run_stage
from tests.imports import ROOT
from thaw.project import timings


@pytest.mark.slow
def test_a_stage_run_by_itself_leaves_its_seconds(project, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert timings.last() == {}
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    subprocess.run([sys.executable, "-m", "stages.download"], check=True)
    assert 0.2 < timings.last()["download"] < 100
    run_stage("split")  # in this process, which is no stage
    assert timings.last().keys() == {"download"}
    (project / "params.yaml").write_text("split: {}\n")
    assert subprocess.run([sys.executable, "-m", "stages.split"], check=False).returncode == 1
    assert timings.last().keys() == {"download"}


def test_the_longest_of_the_last_counts_and_what_is_damaged_does_not(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rows = [{"stage": "extract", "seconds": seconds} for seconds in (90, 30, 2, 3, 2, 2)]
    lines = [*map(json.dumps, rows), '{"stage": "split", "sec', "[]", ""]
    timings.file().parent.mkdir()
    nested = b'{"stage": "split", "seconds": ' + b"[" * 100_000
    damaged = [b"\xff\xfe", b'{"stage": "split", "seconds": 1e999}', nested]
    timings.file().write_bytes(b"\n".join([*(line.encode() for line in lines), *damaged]))
    assert timings.last() == {"extract": 30.0}
    assert timings.last(2) == {"extract": 2.0}


def test_those_of_one_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rows = [{"stage": "split", "seconds": each, "folder": f"/{each}"} for each in (3, 5)]
    timings.file().parent.mkdir()
    timings.file().write_text("\n".join(map(json.dumps, rows)) + '\n{"stage": "a", "seconds": 1}')
    assert timings.last(1, Path("/3")) == {"split": 3.0}
    assert timings.last(1) == {"split": 5.0, "a": 1.0}


def test_a_cache_that_cannot_be_written_fails_no_stage(project, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    subprocess.run([sys.executable, "-m", "stages.download"], check=True)
    assert timings.last() == {}
