"""Ctrl-C and SIGTERM while a command still imports its modules."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.imports import ROOT
from thaw.project import stops

SLOW = """
import os, time
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # as TensorFlow's import has it closed
print("imports", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("package", ["stages", "tools"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_the_import_is_one_line(tmp_path, package, number, code):
    (tmp_path / package).mkdir()
    (tmp_path / package / "slow.py").write_text(SLOW)
    init = (ROOT / package / "__init__.py").read_text()
    (tmp_path / package / "__init__.py").write_text(init)
    process = subprocess.Popen(
        [sys.executable, "-m", f"{package}.slow"], cwd=tmp_path, text=True, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout.readline() == "imports\n"
    process.send_signal(number)
    assert process.communicate()[1] == f"{stops.SAID}\n"
    assert process.returncode == code


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_tensorflow_is_imported_is_one_line(project, number):
    for seconds in (0.7, 1.5, 2):
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.train_head"], text=True, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        time.sleep(seconds)
        process.send_signal(number)
        assert process.communicate()[1] == f"{stops.SAID}\n"
        assert process.returncode == 128 + number
        assert not list(project.glob("models/*"))
