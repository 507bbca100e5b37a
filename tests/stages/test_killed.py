"""Stages that train, killed and run again, as a user and as DVC do."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.conftest import set_params
from tests.imports import ROOT
from thaw.training import history

STAGE = """
import sys
import thaw.models.tf_setup
from tests import tiny
tiny.register()
import runpy
runpy.run_module("stages." + sys.argv[1], run_name="__main__")
"""
OUTPUTS = {"train_head": "models/head.weights.h5", "fine_tune": "models/fine_tuned.weights.h5"}


def run(folder, stage: str, kill_after: str | None = None, number=signal.SIGKILL) -> tuple:
    """Run a stage; kill it when it prints a line that begins so. Return exit code and output."""
    process = subprocess.Popen(
        [sys.executable, "-c", STAGE, stage], cwd=folder, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if kill_after and line.startswith(kill_after):
            process.send_signal(number)
            kill_after = None
    return process.wait(), "".join(said)


@pytest.mark.slow
@pytest.mark.parametrize("stage", list(OUTPUTS))
def test_killed_and_run_again_it_leaves_the_same_bytes(after_run, stage, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    section = {"epochs": 30, "patience": 30, "learning_rate": 0.001}
    set_params(after_run / "params.yaml", {stage: section})
    code, said = run(after_run, stage)
    assert code == 0, said
    whole = (after_run / OUTPUTS[stage]).read_bytes()
    log = history.read(after_run / f"metrics/{stage}")
    assert len(log) == 31
    assert not list((tmp_path / "cache/thaw/checkpoints").iterdir())  # it has done its work

    for number, epoch in [(signal.SIGKILL, 1), (signal.SIGTERM, 20)]:
        code, said = run(after_run, stage, f"epoch {epoch}/", number)
        assert code == (143 if number == signal.SIGTERM else -signal.SIGKILL), said
    code, said = run(after_run, stage)
    assert code == 0, said
    found = re.search("an interrupted training goes on after its epoch ([0-9]+)", said)
    assert int(found[1]) >= 19
    assert (after_run / OUTPUTS[stage]).read_bytes() == whole
    assert history.read(after_run / f"metrics/{stage}").equals(log)
    assert not list((after_run / "models").glob("partial-*"))
    assert not list((tmp_path / "cache/thaw/checkpoints").iterdir())
