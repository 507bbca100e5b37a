"""Run a command: a user's mistake is one line on the terminal, and no traceback."""

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import TextIO

from thaw.project import stage_run, timings
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line, visible


def run(main: Callable[[], None]) -> None:
    """Call a command's `main`; report UserError, OSError, Ctrl-C and SIGTERM in one line.

    Exits with 1 after an error, with 130 after Ctrl-C and with 143 after SIGTERM. Any other
    exception is a bug of ours and keeps its traceback. Nothing is said where the reader of a pipe
    has read enough. A stage runs once at a time, and what it took is noted.
    """
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        with stage_run.alone() if stage_run.name() else nullcontext(), _shown():
            main()
        sys.stdout.flush()
        timings.record()
    except UserError as error:
        sys.exit(f"error: {one_line(error)}")
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            sys.exit(1)
        sys.exit(f"error: {one_line(error)}; check the path, its permissions and the free space")
    except KeyboardInterrupt as stop:
        print("interrupted: nothing half-written was kept; run again to go on", file=sys.stderr)
        sys.exit(143 if isinstance(stop, _Terminated) else 130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _shown() -> AbstractContextManager:
    """Have names that steer a terminal printed as escapes, where one shows what is printed.

    What a stage prints is for people always, and DVC may pass it on.
    """
    if stage_run.name() or sys.stdout.isatty():
        return redirect_stdout(_Shown(sys.stdout))
    return nullcontext()


class _Shown:
    """A stream that writes text as `visible` gives it, with its lines and columns."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(visible(text, kept="\n\t"))

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does, so that what is at work can tidy up."""


def _terminate(signal_number: int, frame: object) -> None:
    raise _Terminated


def _nobody_reads() -> bool:
    """Whether stdout is a pipe without a reader; if so, let Python's own end not stumble over it.

    As Python's documentation of SIGPIPE advises.
    """
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # errors are reported unasked
    gone = any(event & select.POLLERR for _, event in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone
