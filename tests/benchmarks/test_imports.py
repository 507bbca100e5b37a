import importlib

import pytest

from tests.imports import ROOT

NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_benchmark_imports_is_there(name):
    """Most take minutes to run, and no test does that."""
    importlib.import_module(f"benchmarks.{name}")
