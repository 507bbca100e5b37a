import os
import signal
import subprocess
import sys
import time

import pytest

from tests.imports import ROOT

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
