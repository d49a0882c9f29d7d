"""Rows of plain values as a table on a terminal, as CSV or as JSON. Pandas, slow to import, is not needed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqbench.errors import printable

#: The least width of a table that goes to a pipe or a file, which have no width of their own.
LEAST_WIDTH = 110
#: The width of rows of which each is to be one line.
LONGEST_LINE = 10_000
#: Significant digits of a number in CSV. Those beyond are rounding: a fit or an interval has others there on
#: another processor.
DIGITS = 9
#: What of a cell makes it a formula to a spreadsheet, unless it is a number.
FORMULA = r"(?s)[=+\-@\t\r]."
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


def print_rows(
    rows: Sequence[Mapping[str, str]], notes: str = "", right: Collection[str] = (), below: str = ""
) -> None:
    """Print a table of text, and the notes below it.

    Each row is one line, however long, unless it goes to a terminal that is narrower. There what all rows
    share stands above them, and the column `below` under its row; where that is not enough, cells take
    several lines.

    Args:
        rows: column to text, the same columns in each; without any there is no table.
        notes: what the reader must know of the table; empty for nothing.
        right: the columns that are aligned to the right.
        below: the column of long texts that a reader may want to copy, such as a folder.
    """
    console = standard_output()
    if not console.is_terminal:
        console.width = LONGEST_LINE
    if rows:
        _print_table(rows, right, below, console)
    if notes:
        console.print(safe_text(notes, style="dim"))


def _print_table(
    rows: Sequence[Mapping[str, str]], right: Collection[str], below: str, console: Console
) -> None:
    if _fits(table := _one_line_each(rows, right), console):
        console.print(table, soft_wrap=True)
        return
    if shared := {name: cell for name, cell in rows[0].items() if all(row[name] == cell for row in rows[1:])}:
        console.print(safe_text(", ".join(f"{name} {cell}".strip() for name, cell in shared.items() if cell)))
        rows = [_without(shared, row) for row in rows]
    if _fits(table := _one_line_each(rows, right), console):
        console.print(table, soft_wrap=True)
    elif below in rows[0] and _fits(
        table := _one_line_each([_without([below], row) for row in rows], right), console
    ):
        with console.capture() as printed:
            console.print(table)
        heading, *lines = printed.get().splitlines()
        console.print(Text.from_ansi(heading))
        for line, row in zip(lines, rows, strict=True):
            console.print(Text.from_ansi(line), safe_text(f"    {row[below]}"), sep="\n", soft_wrap=True)
    else:
        table = empty_table(rows[0], right)
        table.show_lines = True
        for row in rows:
            table.add_row(*map(safe_text, row.values()))
        console.print(table)


def _one_line_each(rows: Sequence[Mapping[str, str]], right: Collection[str]) -> Table:
    table = empty_table(rows[0], right)
    table.box = None
    for row in rows:
        table.add_row(*map(safe_text, row.values()))
    return table


def _fits(table: Table, console: Console) -> bool:
    return (
        console.measure(table, options=console.options.update(max_width=LONGEST_LINE)).maximum
        <= console.width
    )


def _without(columns: Collection[str], row: Mapping[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name not in columns}


def print_entries(entries: Iterable[tuple[str, str]]) -> None:
    """Print names, each with its text beside it; on a terminal a long text goes on below its beginning."""
    console = standard_output()
    if not console.is_terminal:
        print("\n".join(f"{printable(name)}  {printable(text)}" for name, text in entries))
        return
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in entries:
        table.add_row(safe_text(name), safe_text(text))
    console.print(table)


def empty_table(columns: Iterable[str], right: Collection[str] = ()) -> Table:
    """Return a table without rows; the columns in `right` are aligned to the right."""
    table = Table(box=box.HORIZONTALS, padding=(0, 2, 0, 0), pad_edge=False)
    for name in columns:
        number = name in right
        table.add_column(
            safe_text(name), justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    return table


def safe_text(text: str, style: str = "") -> Text:
    """Return what rich prints of a text, of which nothing commands the terminal."""
    return Text("\n".join(map(printable, text.split("\n"))), style=style)


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `reader_may_leave`: of itself rich ends the process with code 1, without a word."""
        raise BrokenPipeError


def standard_output() -> Console:
    """Return the standard output; one that is no terminal is at least `LEAST_WIDTH` wide."""
    found = _Output()
    if not found.is_terminal:
        found.width = max(found.width, LEAST_WIDTH)
    return found


def rows_to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV, in which no text is a formula to a spreadsheet; None is an empty cell.

    Numbers have `DIGITS` digits.
    Without rows, whose columns are not known then, it is empty.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows(rows[:1])  # the names of the columns
    writer.writerows([_cell(cell) for cell in row.values()] for row in rows)
    return file.getvalue()


def rows_to_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a JSON list of records."""
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def _cell(cell: object) -> object:
    return f"{cell:.{DIGITS}g}" if isinstance(cell, float) else quoted(cell)


def quoted(cell: object) -> object:
    """Return a cell that is no formula to a spreadsheet: `=1+1` reads `'=1+1`."""
    formula = isinstance(cell, str) and re.match(FORMULA, cell) and not re.fullmatch(NUMBER, cell)
    return f"'{cell}" if formula else cell


def size(count: float) -> str:
    """Return a number of bytes in three digits: 950 B, 12.5 kB, 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """Return a time: 0.4 s, 40 s, 14 min, 3.5 h, 12 d."""
    if seconds < 90:
        return f"{seconds:.{int(seconds < 9.95)}f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"
