"""The signals that stop the command line: Ctrl-C (SIGINT) and SIGTERM.

The first of them raises `Stopped`: at once, or after what must not be torn (`deferred`). A Ctrl-C after it
ends the process on the spot. A program that calls seqbench as a library keeps its own handlers.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from seqbench.processes import is_first_process

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Whether the handlers are those of this module, which signal has come, and how many `deferred` there are.
_handled = False
_received: signal.Signals | None = None
_deferring = 0
_raised = False


class Stopped(SystemExit):
    """A signal stops the program. The exit code is that of a shell: 130 after Ctrl-C, 143 after SIGTERM."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(128 + number)
        self.number = number


@contextmanager
def handled() -> Iterator[None]:
    """Within the context the first signal raises `Stopped`. One that the process ignores stays ignored."""
    global _handled, _received, _raised
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _handled, _received, _raised = True, None, False
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _receive)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _handled = False


def are_handled() -> bool:
    """Whether this is within `handled`."""
    return _handled


@contextmanager
def deferred() -> Iterator[None]:
    """What is within comes to its end before a signal stops the program."""
    global _deferring
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1
        if not _deferring and not _raised:
            check()


def check() -> None:
    """Raise `Stopped` if a signal has come, again where code that swallows every error has swallowed it.

    Of processes that share batches the first one alone stops so, and the others end when they miss it.
    """
    global _raised
    if _handled and _received is not None and is_first_process():
        _raised = True
        raise Stopped(_received)


def _receive(number: int, frame: FrameType | None) -> None:
    global _received
    if _received is None:
        _received = signal.Signals(number)
        if not _deferring:
            check()
    elif number == signal.SIGINT:
        os._exit(128 + number)
