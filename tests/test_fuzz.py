import subprocess
import sys

import pytest

from tests import fuzz
from tests.imports import ROOT
from thaw.project.errors import UserError


@pytest.mark.parametrize("kind", fuzz.KINDS, ids=lambda kind: kind.name)
def test_what_is_valid_is_taken(kind, monkeypatch):
    monkeypatch.setattr(fuzz.timings, "file", fuzz.timings.file)
    assert fuzz.outcome(kind, kind.make()) == "taken"


@pytest.mark.slow
def test_mutated_inputs_are_taken_or_refused_in_one_line():
    """By hand more of them: `python -m tests.fuzz --count 5000`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--count", "608", "--seed", "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "608 inputs, 0 found" in done.stdout


def key_error(path):
    raise KeyError(path.name)


def memory(path):
    raise MemoryError


def outside(path):
    (path.parent.parent / "oh").touch()


def wordless(path):
    raise UserError("")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (key_error, "KeyError: 'x'"),
        (memory, "MemoryError"),
        (outside, "wrote outside of its folder"),
        (wordless, "says ''"),
    ],
)
def test_what_no_reader_may_do_is_found(read, said, capsys):
    kind = fuzz.Kind("x", lambda: b"some content", read)
    counts, found = fuzz.fuzz([3], 1, (kind,))
    assert not counts
    assert said in found[3]
    assert "--seed 1 --only 3: x: " in capsys.readouterr().out
