import subprocess
import sys

import pytest

from tests.imports import ROOT

CODE = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(f"benchmarks.{name}")
    except Exception as error:
        print(f"{name}: {error}")
"""


@pytest.mark.slow
def test_what_benchmarks_import_is_there():
    """Most take minutes to run, and no test does that. In a process of their own, as rivals import
    what others must import in their own way.
    """
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
    assert len(names) > 20
    done = subprocess.run(
        [sys.executable, "-c", CODE, *names],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == ""
