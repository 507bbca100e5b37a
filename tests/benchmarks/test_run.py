import sys
from types import FrameType

import pytest

from benchmarks import run


def frame(*calls: tuple[str, str]) -> FrameType:
    """Return the innermost frame of calls, each by its file and its function, outermost first."""
    call = sys._getframe
    for file, name in reversed(calls):
        space = {"call": call}
        exec(compile(f"def {name}(): return call()", file, "exec"), space)
        call = space[name]
    return call()


STAGE = ("stages/extract.py", "main")


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([STAGE, ("numpy/linalg.py", "norm")], run.COMPUTES),
        ([STAGE, ("/x/thaw/images/loader.py", "load"), ("PIL/Image.py", "open")], run.DECODES),
        ([STAGE, ("/x/thaw/project/files.py", "replacing")], run.WRITES),
        ([STAGE, ("/x/thaw/project/files.py", "sha256")], run.COMPUTES),
        ([STAGE, ("/x/thaw/project/files.py", "_sync_folder")], run.WRITES),
        ([STAGE, ("/x/thaw/models/weights.py", "save"), ("h5py/files.py", "f")], run.WRITES),
        ([STAGE, ("/x/thaw/models/weights.py", "load"), ("h5py/files.py", "f")], run.COMPUTES),
        (
            [STAGE, ("<frozen importlib._bootstrap>", "_load"), ("/x/thaw/images/a.py", "f")],
            run.IMPORTS,
        ),
    ],
)
def test_what_a_thread_is_at_is_told_by_its_frames(calls, expected):
    assert run.kind(frame(*calls)) == expected


def test_a_thread_that_has_ended_counts_as_computing():
    assert run.kind(None) == run.COMPUTES
