"""One stage, or tool that writes, at a time in a checkout; and a stage no longer than DVC."""

import fcntl
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from thaw.project import stops
from thaw.project.errors import UserError

CHECKOUT = Path(".")
LOOKS = 0.5  # seconds between two looks at DVC
GRACE = 30  # seconds to tidy up in
LOCKS = Path("/proc/locks")  # of Linux


class AtWork(UserError):
    """Another process of ours is at work here."""


def name() -> str | None:
    """Return which stage this process is; None if `python -m stages.NAME` did not begin it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    package, _, stage = (spec.name if spec else "").rpartition(".")
    return stage if package == "stages" else None


@contextmanager
def alone(place: Path = CHECKOUT) -> Iterator[None]:
    """Let no other process of ours work at `place`, a folder, for the length of the block.

    Stages, and tools that write what stages read, do so in the whole checkout. The system unlocks
    when a process dies, however that comes. Raises AtWork when another has not ended.
    """
    folder = os.open(place, os.O_RDONLY)
    try:
        _lock(folder)
        yield
    finally:
        os.close(folder)


def _lock(folder: int) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = _at_work(folder) or "another process is at work in this folder"
        raise AtWork(f"{who}; wait until it has ended, or stop it") from None
    except OSError:
        pass  # a disk without locks


def end_with_dvc() -> None:
    """End this process soon after its parent, if that is DVC.

    DVC leaves a stage alive when it is killed itself, and would begin it again beside that one.
    """
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_end_with, args=(stops.PARENT,), daemon=True).start()


def beside() -> str:
    """Return a remark on who is at work here, where the system tells; "" for nobody."""
    folder = os.open(CHECKOUT, os.O_RDONLY)
    try:
        who = _at_work(folder)
    finally:
        os.close(folder)
    return f"; {who}, and what is missing or old may be new when it has ended" if who else ""


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKS)
    with suppress(OSError):  # who read it may have ended with DVC
        print("DVC has ended, so this stage ends, too; `dvc repro` runs it again", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _at_work(folder: int) -> str:
    """Say which process holds the lock, where the system tells and it is not this one; else ""."""
    lines = LOCKS.read_text(encoding="utf-8").splitlines() if LOCKS.exists() else []
    pattern = rf".* FLOCK .* (\d+) \S+:{os.fstat(folder).st_ino} 0 EOF"
    holders = [int(found[1]) for line in lines if (found := re.fullmatch(pattern, line))]
    if not holders or holders[0] == os.getpid():
        return ""
    return f"{_module(holders[0])} is at work in this folder (process {holders[0]})"


def _module(process: int) -> str:
    """Return what a process runs by `python -m`, as far as the system tells."""
    with suppress(psutil.Error):
        arguments = psutil.Process(process).cmdline()
        if "-m" in arguments[:-1]:
            return arguments[arguments.index("-m") + 1]
    return "another process"
