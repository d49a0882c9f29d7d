"""`seqbench report --watch`: the table again whenever a run ends."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from seqbench.cli import watch
from tests.runs.handmade import result, store


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch):
    """Let each pause between two looks do the next of some things, and Ctrl-C at their end."""

    def plan(*doings):
        left = [*doings, lambda: os.kill(os.getpid(), signal.SIGINT)]
        monkeypatch.setattr(watch, "sleep", lambda _: left.pop(0)())

    return plan


def test_one_table_for_each_change_in_a_pipe(seqbench, looks):
    looks(
        lambda: None,
        lambda: store(Path("runs"), result()),
        lambda: None,
        lambda: Path("runs/adding/other").mkdir(),
        lambda: store(Path("runs"), result(model="gru")),
    )
    said = seqbench("report", "--watch")
    assert said.code == 0 and said.err == ""
    first, *tables = said.out.split("\nadding: loss")
    assert first == "no results in runs; train something first: `seqbench task=adding model=lstm`.\n"
    assert ["lstm" in table for table in tables] == [True, True]
    assert ["gru" in table for table in tables] == [False, True]
    assert "\x1b" not in said.out and "Ctrl-C" not in said.out


def test_on_a_terminal_the_table_is_replaced(looks, monkeypatch):
    from seqbench.cli.report import main

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    store(Path("runs"), result())
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    looks(lambda: store(Path("runs"), result(model="gru")))
    assert main(["--watch"]) == 0
    shown = terminal.getvalue()
    assert shown.count("As of ") >= 2 and "\x1b[1A\x1b[2K" in shown, "what was there is erased"


def test_a_filter_that_fits_nothing_yet_waits(seqbench, looks):
    store(Path("runs"), result())
    looks(lambda: store(Path("runs"), result(model="gru")))
    said = seqbench("report", "--watch", "--model", "gru")
    assert said.code == 0
    assert said.out.startswith("model=gru: there is no such run; there are lstm.")
    assert "\nadding: loss" in said.out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--format", "md"], "--watch shows the table on the terminal; leave out --format"),
        (["--out", "paper"], "--watch shows the table on the terminal; leave out --format, --out"),
        (["--figure"], "--watch shows the table on the terminal"),
        (["nowhere"], "There is no folder of runs and no exported file nowhere."),
    ],
)
def test_what_cannot_be_watched_is_refused(seqbench, words, reason):
    said = seqbench("report", "--watch", *words)
    assert said.code == 2 and reason in said.err
