"""Run a command: a user's mistake is one line on the terminal, and no traceback."""

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext

from thaw.project import stage_run, timings
from thaw.project.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Call a command's `main`; report UserError, OSError, Ctrl-C and SIGTERM in one line.

    Exits with 1 after an error, with 130 after Ctrl-C and with 143 after SIGTERM. Any other
    exception is a bug of ours and keeps its traceback. Nothing is said where the reader of a pipe
    has read enough. A stage runs once at a time, and what it took is noted.
    """
    before = signal.signal(signal.SIGTERM, _terminate)
    stage_run.end_with_dvc()
    try:
        with stage_run.alone() if stage_run.name() else nullcontext():
            main()
        sys.stdout.flush()
        timings.record()
    except stage_run.AtWork as error:
        sys.exit(f"error: {_one_line(error)}")
    except UserError as error:
        sys.exit(f"error: {_one_line(error)}{stage_run.beside()}")
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            sys.exit(1)
        sys.exit(f"error: {_one_line(error)}; check the path, its permissions and the free space")
    except KeyboardInterrupt as stop:
        print("interrupted: nothing half-written was kept; run again to go on", file=sys.stderr)
        sys.exit(143 if isinstance(stop, _Terminated) else 130)
    finally:
        signal.signal(signal.SIGTERM, before)


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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
