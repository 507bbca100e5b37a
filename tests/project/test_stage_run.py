import os
import signal
import subprocess
import sys
import time

import pytest

from tests.imports import ROOT
from thaw.project import stage_run, stops

STAGE = """
import time
from pathlib import Path
from thaw.project.cli import run

def main():
    Path("began").touch()
    while not Path("stop").exists():
        time.sleep(0.05)
    Path("ended").touch()

run(main)
"""
TOOL = """
from thaw.project.cli import run
from thaw.project.errors import UserError

def main():
    raise UserError("x is missing")

run(main)
"""
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-m", "stages.slow"])
"""


def test_dvc_is_who_began_it_also_where_it_died_during_the_imports(monkeypatch):
    """By then the stage's parent is another process, which does not end."""
    watched = []
    monkeypatch.setenv("DVC_STAGE", "slow")
    monkeypatch.setattr(stops, "PARENT", -1)
    monkeypatch.setattr(stage_run, "_end_with", watched.append)
    stage_run.end_with_dvc()
    end = time.monotonic() + 60
    while not watched and time.monotonic() < end:
        time.sleep(0.01)
    assert watched == [-1]


def test_it_ends_with_dvc_also_where_nobody_reads_what_it_says(monkeypatch):
    ended = []
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115  as stderr is, for long
    monkeypatch.setattr(sys, "stderr", full)
    monkeypatch.setattr(stage_run.os, "kill", lambda process, number: ended.append(number))
    monkeypatch.setattr(stage_run.os, "_exit", ended.append)
    monkeypatch.setattr(stage_run, "GRACE", 0)
    stage_run._end_with(-1)
    assert ended == [signal.SIGTERM, 1]


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/slow.py").write_text(STAGE)
    (tmp_path / "tools").mkdir()
    for package in ("stages", "tools"):
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "tools/missing.py").write_text(TOOL)
    return tmp_path


def start(folder, *command, **more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), **more}
    with open(folder / "said", "w") as said:
        return subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment, stderr=said
        )


def wait_for(what):
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_stage_runs_once_at_a_time(checkout):
    first = start(checkout, "-m", "stages.slow")
    wait_for((checkout / "began").exists)
    second = start(checkout, "-m", "stages.slow")
    assert second.wait(30) == 1
    assert (checkout / "said").read_text() == (
        f"error: stages.slow is at work in this folder (process {first.pid}); wait until it has "
        "ended, or stop it\n"
    )
    tool = start(checkout, "-m", "tools.missing")
    assert tool.wait(30) == 1
    assert (checkout / "said").read_text() == (
        f"error: x is missing; stages.slow is at work in this folder (process {first.pid}), and "
        "what is missing or old may be new when it has ended\n"
    )
    first.kill()
    first.wait()
    (checkout / "stop").touch()
    assert start(checkout, "-m", "stages.slow").wait(30) == 0
    assert (checkout / "ended").exists()


def test_a_stage_ends_with_dvc(checkout):
    dvc = start(checkout, "-c", PARENT, DVC_STAGE="slow")
    wait_for((checkout / "began").exists)
    dvc.send_signal(signal.SIGKILL)
    dvc.wait()
    wait_for(lambda: "DVC has ended" in (checkout / "said").read_text())
    (checkout / "stop").touch()
    time.sleep(0.3)
    assert not (checkout / "ended").exists()
