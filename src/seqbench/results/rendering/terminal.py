"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import pandas as pd
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table

from seqbench.results.frame import Comparison
from seqbench.results.rendering.blocks import Block, blocks, legend
from seqbench.results.rendering.rows import empty_table, safe_text, standard_output

#: The spaces between two columns, and how many less there are about a whole table.
BETWEEN, LESS_ABOUT = 3, 1


def print_table(
    table: pd.DataFrame, notes: str = "", index: bool = True, console: Console | None = None
) -> None:
    """Print a table of text, and the notes below it.

    Args:
        table: text in every cell and in the index.
        notes: what the reader must know of the table; empty for nothing.
        index: whether the index is the first column.
        console: where to print; standard output by default.
    """
    console = console or standard_output()
    shown = _empty(table, index)
    for row in table.itertuples(index=index):
        shown.add_row(*(safe_text(str(cell)) for cell in row))
    console.print(shown)
    if notes:
        console.print(safe_text(notes, style="dim"))


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print a comparison, see `parts`."""
    console = console or standard_output()
    for part in parts(comparison, console.width):
        console.print(part)


def parts(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    """Yield what rich prints of a comparison: a block for every task, then the legend of all.

    Lengths that do not fit beside one another in `width` columns go below, without the columns of the side
    and without models that have nothing there.
    """
    for block in blocks(comparison):
        yield safe_text(f"\n{block.heading}", style="bold")
        first, *others = _side_by_side(block, width)
        yield _cells(block.table[first + block.side], block.side)
        for lengths in others:
            table = block.table[lengths]
            yield _cells(table[(table != "").any(axis=1)], ())
    yield safe_text(legend(comparison), style="dim")


def _side_by_side(block: Block, width: int) -> list[list[str]]:
    """Return the columns of lengths in groups that fit beside the names, the first also beside the side."""

    def wide(texts: Iterable[str]) -> int:
        return max(cell_len(line) for text in texts for line in text.split("\n")) + BETWEEN

    room = width + LESS_ABOUT - wide(name.replace(" (", "\n(") for name in block.table.index)
    groups: list[list[str]] = [[]]
    left = room - sum(wide([name, *block.table[name]]) for name in block.side)
    for name in (column for column in block.table.columns if column not in block.side):
        left -= (needed := wide([name, *block.table[name]]))
        if left < 0 and groups[-1]:
            groups.append([])
            left = room - needed
        groups[-1].append(name)
    return groups


def _cells(table: pd.DataFrame, side: Collection[str]) -> Table:
    """Return a table whose cells have several lines, the first in bold, and a rule after each row."""
    shown = _empty(table, index=True, right=side)
    shown.show_lines = True
    for name, *cells in table.itertuples():
        texts = [safe_text(cell) for cell in (name.replace(" (", "\n("), *cells)]
        for text in texts:
            text.stylize("bold", 0, len(text.plain.partition("\n")[0]))
        shown.add_row(*texts)
    return shown


def _empty(table: pd.DataFrame, index: bool, right: Collection[str] = ()) -> Table:
    return empty_table([*([""] if index else []), *map(str, table.columns)], right)
