"""`seqbench report --watch`: the table again whenever a run ends."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest
from rich.console import Console, ConsoleDimensions

from seqbench.cli import watch
from seqbench.cli.report import main
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


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch):
    """Make standard output a terminal of 80 columns, of a kind and so many lines; return what it shows."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def make(lines=40, kind="xterm"):
        monkeypatch.setattr(sys, "stdout", found := Terminal())
        for name, value in (("TERM", kind), ("COLUMNS", "80"), ("LINES", str(lines))):
            monkeypatch.setenv(name, value)
        return found

    return make


def test_on_a_terminal_the_table_is_replaced(looks, terminal):
    store(Path("runs"), result())
    looks(lambda: store(Path("runs"), result(model="gru")))
    screen = terminal()
    assert main(["--watch"]) == 0
    shown = screen.getvalue()
    assert shown.count("As of ") >= 2 and "\x1b[1A\x1b[2K" in shown, "what was there is erased"


def test_a_table_taller_than_the_terminal_is_shown_whole(looks, terminal):
    for model in ("lstm", "gru", "mgu", "lru"):
        store(Path("runs"), result(model=model))
    looks(lambda: None, lambda: store(Path("runs"), result(model="rnn")))
    screen = terminal(lines=12)
    assert main(["--watch"]) == 0
    first, second = screen.getvalue().split("adding: loss")[1:]
    assert [name in first for name in ("gru", "lru", "lstm", "mgu", "rnn", "Each cell")] == [
        *(True, True, True, True, False, True)
    ]
    assert "rnn" in second and "As of " in second.split("Each cell")[1], "the hour stands below it"


def test_a_terminal_that_cannot_go_back_has_one_table_after_another(looks, terminal):
    store(Path("runs"), result())
    looks(lambda: store(Path("runs"), result(model="gru")))
    screen = terminal(kind="dumb")
    assert main(["--watch"]) == 0
    assert ["gru" in table for table in screen.getvalue().split("\nadding: loss")[1:]] == [False, True]


def test_a_terminal_that_changes_its_width_has_the_table_again(looks, terminal, monkeypatch):
    store(Path("runs"), result())
    sizes = [ConsoleDimensions(80, 40)]
    looks(lambda: None, lambda: sizes.append(ConsoleDimensions(60, 40)), lambda: None)
    monkeypatch.setattr(Console, "size", property(lambda self: sizes[-1]))
    widths = []
    shown = watch._shown
    monkeypatch.setattr(watch, "_shown", lambda show, width: widths.append(width) or shown(show, width))
    terminal()
    assert main(["--watch"]) == 0
    assert widths == [80, 60]


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
