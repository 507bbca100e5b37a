"""Ctrl-C and SIGTERM end a command with one line and their usual exit code, whenever they come."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SAID = "interrupted: nothing half-written was kept; run again to go on"
NUMBERS = (signal.SIGINT, signal.SIGTERM)
PARENT = os.getppid()  # who began this process; stages import this first, before what takes seconds
_last = signal.SIGINT  # that was raised


class Stopped(KeyboardInterrupt):
    """One of the signals. Its argument is the exit code."""


def end_at_once() -> None:
    """Let the signals end a command of `python -m` at once, as long as it imports its modules.

    That takes seconds, in which TensorFlow's import closes stderr and nothing is there to tidy up.
    """
    if sys.argv[0] != "-m":  # which it is until the command's own module begins
        return
    stderr = os.dup(2)

    def end(number: int, frame: FrameType | None) -> None:
        os.write(stderr, f"{SAID}\n".encode())
        os._exit(128 + number)

    _let(end)


@contextmanager
def raised() -> Iterator[None]:
    """Raise Stopped at either signal for the length of the block, so that it can tidy up."""
    before = [signal.getsignal(number) for number in NUMBERS]
    _let(_raise)
    try:
        yield
    finally:
        for number, handler in zip(NUMBERS, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def kept() -> Iterator[None]:
    """Raise Stopped where a library raises a KeyboardInterrupt of its own in its place."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise error if isinstance(error, Stopped) else Stopped(128 + _last) from None


def _let(handler) -> None:
    """Handle the signals; one that a shell lets its background jobs ignore stays ignored."""
    for number in NUMBERS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    global _last
    _last = number
    raise Stopped(128 + number)
