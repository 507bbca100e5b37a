import os
import signal
import subprocess
import sys

import pytest

from tests.imports import ROOT
from thaw.project.cli import run
from thaw.project.errors import UserError


@pytest.mark.parametrize("mistake", [UserError("invalid\n  key"), OSError("invalid\n  key")])
def test_a_mistake_is_one_line_and_exit_code_1(mistake, capsys):
    def main():
        raise mistake

    with pytest.raises(SystemExit) as stop:
        run(main)
    # sys.exit with text prints it to stderr and exits with 1
    assert isinstance(stop.value.code, str)
    assert stop.value.code.startswith("error: invalid key")
    assert "\n" not in stop.value.code


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)


SIGNAL = """
import os, signal, sys
from thaw.project.cli import run
# A shell lets what it runs in the background ignore Ctrl-C, and these tests may be that.
signal.signal(signal.SIGINT, signal.default_int_handler)
run(lambda: os.kill(os.getpid(), int(sys.argv[1])))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_are_said_and_have_their_usual_code(number, code):
    """In a process of its own, as a signal may hit more than the test."""
    command = [sys.executable, "-c", SIGNAL, str(int(number))]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == code
    assert done.stderr.startswith("interrupted: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("lines", [3, 100_000])
def test_a_reader_that_has_enough_is_no_error(lines):
    """As in `python -m tools.summary | head -1`."""
    code = f"from thaw.project.cli import run; run(lambda: print('x\\n' * {lines}))"
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=pipe, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stdout_that_takes_no_more_is_one_line(unbuffered):
    code = "from thaw.project.cli import run; run(lambda: print('x'))"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: [Errno 28] No space left on device; check")
    assert done.stderr.count("\n") == 1


MEMORY = """
import resource, sys
import numpy as np
from thaw.project.cli import run
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
run(lambda: np.ones(2**34) if sys.argv[1] == "numpy" else bytearray(2**34))
"""


@pytest.mark.parametrize("kind", ["numpy", "python"])
def test_a_lack_of_memory_is_one_line(kind):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, kind], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: not enough memory (")
    assert done.stderr.count("\n") == 1


def test_another_broken_pipe_is_an_error():
    def main():
        raise BrokenPipeError("the server hung up")

    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code.startswith("error: the server hung up; check")
