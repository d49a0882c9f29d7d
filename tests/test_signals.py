"""Signals: the first stops the program, at once or after what must not be torn; a second Ctrl-C ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from seqbench import processes, signals
from seqbench.signals import Stopped, are_handled, check, deferred, handled

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_a_signal_stops_at_once_with_the_exit_code_of_a_shell(number: signal.Signals) -> None:
    with pytest.raises(Stopped) as caught, handled():
        signal.raise_signal(number)
        pytest.fail("this comes too late")
    assert caught.value.code == 128 + number and caught.value.number == number


@BOTH
def test_or_after_what_must_not_be_torn(number: signal.Signals) -> None:
    done = []
    with pytest.raises(Stopped) as caught, handled():
        with deferred():
            with deferred():
                signal.raise_signal(number)
            done.append("inner")
            signal.raise_signal(signal.SIGTERM)  # changes nothing any more
            done.append("outer")
        done.append("too late")
    assert done == ["inner", "outer"] and caught.value.number == number


def test_once_raised_it_does_not_tear_what_is_written_because_of_it() -> None:
    done = []
    with pytest.raises(Stopped), handled():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            with deferred():
                signal.raise_signal(signal.SIGTERM)
                done.append("written")
            done.append("and left")
            raise
    assert done == ["written", "and left"]


def test_what_was_swallowed_is_raised_again() -> None:
    with pytest.raises(Stopped), handled():
        with suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        check()


@pytest.mark.parametrize("within", [handled, deferred])
def test_a_second_interrupt_ends_the_process_on_the_spot(
    monkeypatch: pytest.MonkeyPatch, within: Callable[[], Any]
) -> None:
    class EndedError(Exception):
        pass

    def end(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr(signals.os, "_exit", end)
    with handled(), pytest.raises(EndedError, match="130"):
        try:
            with within():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
        except Stopped:
            signal.raise_signal(signal.SIGINT)


def test_handlers_are_put_back_and_what_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with handled():
            assert are_handled() and signal.getsignal(signal.SIGINT) != before
            signal.raise_signal(signal.SIGTERM)
        assert not are_handled() and signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_program_with_handlers_of_its_own_keeps_them() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():
        check()
        done.append("begun")
        signal.raise_signal(signal.SIGINT)
        done.append("too late")
    assert done == ["begun"]


def test_of_processes_that_share_batches_the_first_one_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    with handled():
        monkeypatch.setattr(processes, "_rank", 1)
        signal.raise_signal(signal.SIGTERM)
        check()
        monkeypatch.setattr(processes, "_rank", 0)
        with pytest.raises(Stopped):
            check()
