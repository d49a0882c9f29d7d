"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: The width of a table that goes to a pipe or a file, which have no width of their own.
LEAST_WIDTH = 110


def open_console() -> Console:
    """Return a console on standard output."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, LEAST_WIDTH)
    return console


def print_table(
    table: pd.DataFrame,
    notes: str = "",
    index: bool = True,
    right: Collection[str] = (),
    console: Console | None = None,
) -> None:
    """Print a table of text, then the notes below it.

    If a cell has several lines, a rule follows every row, and the first line of every cell is bold.

    Args:
        table: text in every cell and in the index.
        notes: what the reader must know of the table; empty for nothing.
        index: print the index as the first column.
        right: the names of the columns to align to the right.
        console: where to print; standard output by default.
    """
    console = console or open_console()
    rows = [[str(cell) for cell in row] for row in table.itertuples(index=index)]
    several_lines = any("\n" in cell for row in rows for cell in row)
    shown = Table(box=box.HORIZONTALS, padding=(0, 2, 0, 0), pad_edge=False, show_lines=several_lines)
    for name in [""] * index + [*table.columns]:
        shown.add_column(Text(name), justify="right" if name in right else "left")
    for row in rows:
        texts = [Text(cell) for cell in row]
        for text in texts if several_lines else ():
            text.stylize("bold", 0, len(text.plain.partition("\n")[0]))
        shown.add_row(*texts)
    console.print(shown)
    if notes:
        console.print(Text(notes, style="dim"))
