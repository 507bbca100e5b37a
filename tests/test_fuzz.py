import subprocess
import sys

import pytest

from tests import fuzz
from tests.imports import ROOT


@pytest.mark.parametrize("kind", fuzz.KINDS, ids=lambda kind: kind.name)
def test_what_is_valid_is_taken(kind, monkeypatch):
    monkeypatch.setattr(fuzz.timings, "file", fuzz.timings.file)
    assert fuzz.outcome(kind, kind.make()) == "taken"


@pytest.mark.slow
def test_mutated_inputs_are_taken_or_refused_in_one_line():
    """5,000 of other seeds were run by hand; see the head of tests/fuzz.py."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--count", "608", "--seed", "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "608 inputs, 0 found" in done.stdout
