"""This process as a stage of the pipeline: one at a time in a checkout, and no longer than DVC."""

import fcntl
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thaw.project.errors import UserError

LOOKS = 0.5  # seconds between two looks at DVC
GRACE = 30  # seconds to tidy up in
LOCKS = Path("/proc/locks")  # of Linux


def name() -> str | None:
    """Return which stage this process is; None if `python -m stages.NAME` did not begin it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    package, _, stage = (spec.name if spec else "").rpartition(".")
    return stage if package == "stages" else None


@contextmanager
def alone() -> Iterator[None]:
    """Let no other stage run in this checkout for the length of the block, and end when DVC ends.

    DVC leaves a stage alive when it is killed itself, and would begin it again beside that one.
    The system unlocks when the process dies, however that comes. Raises UserError when a stage runs
    already.
    """
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    folder = os.open(".", os.O_RDONLY)
    try:
        _lock(folder)
        yield
    finally:
        os.close(folder)


def _lock(folder: int) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = f"a stage runs in this folder already{_holder(folder)}"
        raise UserError(f"{who}; wait until it has ended, or stop it") from None
    except OSError:
        pass  # a disk without locks


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKS)
    print("DVC has ended, so this stage ends, too; `dvc repro` runs it again", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _holder(folder: int) -> str:
    """Return which process holds the lock, where the system tells."""
    lines = LOCKS.read_text(encoding="utf-8").splitlines() if LOCKS.exists() else []
    pattern = rf".* FLOCK .* (\d+) \S+:{os.fstat(folder).st_ino} 0 EOF"
    holders = [found[1] for line in lines if (found := re.fullmatch(pattern, line))]
    return f" (process {holders[0]})" if holders else ""
