"""Rows as a table: whole lines in a pipe, fitted to a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from seqbench.results.rendering import rows
from seqbench.results.rendering.rows import print_entries, print_rows

RUNS = [
    {"task": "adding", "model": name, "steps": steps, "folder": f"runs/adding/{name}-0123abcd"}
    for name, steps in (("lstm", "1,000"), ("gru", "900"))
]


@pytest.fixture
def on_terminal(monkeypatch):
    """Print on a terminal of so many columns; return the lines."""

    def on(width, print_, *args, **options):
        file = io.StringIO()
        console = Console(file=file, width=width, force_terminal=True, color_system=None)
        with monkeypatch.context() as patch:
            patch.setattr(rows, "standard_output", lambda: console)
            print_(*args, **options)
        return [line.rstrip() for line in file.getvalue().splitlines()]

    return on


def test_a_table_that_fits_has_a_line_a_row(on_terminal, capsys):
    lines = on_terminal(80, print_rows, RUNS, "two runs", right=("steps",), below="folder")
    assert len(lines) == 4 and lines[1].endswith("runs/adding/lstm-0123abcd")
    print_rows(RUNS, "two runs", right=("steps",), below="folder")
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == lines, "piped it is the same"


def test_what_all_rows_share_goes_above_them(on_terminal):
    assert on_terminal(42, print_rows, RUNS, right=("steps",), below="folder") == [
        "task adding",
        "model  steps  folder",
        "lstm   1,000  runs/adding/lstm-0123abcd",
        "gru      900  runs/adding/gru-0123abcd",
    ]


def test_a_long_column_goes_below_its_row(on_terminal):
    assert on_terminal(30, print_rows, RUNS, right=("steps",), below="folder") == [
        "task adding",
        "model  steps",
        "lstm   1,000",
        "    runs/adding/lstm-0123abcd",
        "gru      900",
        "    runs/adding/gru-0123abcd",
    ]


def test_where_nothing_else_fits_cells_take_several_lines_and_numbers_stay_whole(on_terminal):
    lines = on_terminal(24, print_rows, RUNS, right=("steps",))
    assert max(map(len, lines)) <= 24
    assert any("1,000" in line for line in lines) and lines[0] == "task adding"


def test_a_piped_table_is_never_narrowed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_rows([{"a": "x" * 300, "b": "y" * 300}])
    assert [len(line) for line in capsys.readouterr().out.splitlines()][-1] >= 602


def test_entries_wrap_beside_their_names(on_terminal, capsys):
    entries = [("lstm", "one two three four"), ("gru ", "five")]
    assert on_terminal(16, print_entries, entries) == ["lstm  one two", "      three four", "gru   five"]
    print_entries(entries)
    assert capsys.readouterr().out == "lstm  one two three four\ngru   five\n"
