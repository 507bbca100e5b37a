"""Run a command: a user's mistake is one line on the terminal, and no traceback."""

import os
import select
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import TextIO

from thaw.project import stage_run, stops, timings
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line, visible

# NumPy's and TensorFlow's own, which is imported only by those who need it
LACKS_MEMORY = ("MemoryError", "_ArrayMemoryError", "ResourceExhaustedError")


def run(main: Callable[[], None]) -> None:
    """Call a command's `main`; report UserError, OSError, Ctrl-C and SIGTERM in one line.

    Exits with 1 after an error, with 130 after Ctrl-C and with 143 after SIGTERM. Any other
    exception is a bug of ours and keeps its traceback, but for a lack of memory. Nothing is said
    where the reader of a pipe has read enough. A stage runs once at a time, and what it took is
    noted.
    """
    stage_run.end_with_dvc()
    try:
        with (
            stops.raised(),
            stage_run.alone() if stage_run.name() else nullcontext(),
            _shown(),
        ):
            main()
            sys.stdout.flush()
            timings.record()
    except stage_run.AtWork as error:
        sys.exit(f"error: {one_line(error)}")
    except UserError as error:
        sys.exit(f"error: {one_line(error)}{stage_run.beside()}")
    except OSError as error:
        silent = isinstance(error, BrokenPipeError) and _nobody_reads()
        _drop_output()
        if silent:
            sys.exit(1)
        sys.exit(f"error: {one_line(error)}; check the path, its permissions and the free space")
    except KeyboardInterrupt as stop:
        print(stops.SAID, file=sys.stderr)
        sys.exit(stop.args[0] if isinstance(stop, stops.Stopped) else 130)
    except Exception as error:
        if type(error).__name__ not in LACKS_MEMORY:
            raise
        sys.exit(
            f"error: not enough memory ({one_line(error)[:200]}); end other programs, or lower "
            "batch_size, runtime.batch_size or backbone.image_size"
        )


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


def _nobody_reads() -> bool:
    """Whether stdout is a pipe without a reader."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # errors are reported unasked
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _drop_output() -> None:
    """Let Python's own end not stumble over a stdout that takes no more; it would say so again.

    As Python's documentation of SIGPIPE advises.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
