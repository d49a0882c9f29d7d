"""The training throughput."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from seqbench.results.numbers import counts
from seqbench.results.summaries.base import Cell, Row, Summary


class Throughput(Summary):
    """`2k` sequences per second, or least and greatest where they differ between lengths: `1k–2k`.

    It is in no table unless one asks, as it depends on what else the machine did: `scripts/bench` measures
    speed.

        seqbench report --summary seqbench.results.summaries.throughput.Throughput

    Columns: `sequences_per_s`, the median over runs.
    """

    columns = ("sequences_per_s",)
    heading = "seq/s"

    def compute(self, cell: Cell) -> Row:
        """Return the median over the runs that have a throughput."""
        known = [run.sequences_per_s for run in cell.runs if run.sequences_per_s is not None]
        return {"sequences_per_s": median(known)} if known else {}

    def side_text(self, rows: Sequence[Row]) -> str:
        """Return the range over lengths."""
        return counts(row["sequences_per_s"] for row in rows)
