"""The number of live parameters of a model."""

from __future__ import annotations

from collections.abc import Sequence

from seqbench.results.numbers import counts
from seqbench.results.summaries.base import Cell, Row, Summary


class Parameters(Summary):
    """`10.1k`, or least and greatest where the number depends on the length: `10.1k–12k`.

    Columns: `parameters`, missing where every run failed before its model was built.
    """

    columns = ("parameters",)
    counts = ("parameters",)
    heading = "parameters"

    def compute(self, cell: Cell) -> Row:
        """Return the number of the first run that has one; it is the same for all runs of a cell."""
        known = [run.parameters for run in cell.runs if run.parameters is not None]
        return {"parameters": known[0]} if known else {}

    def side_text(self, rows: Sequence[Row]) -> str:
        """Return the range over lengths."""
        return counts(row["parameters"] for row in rows)
