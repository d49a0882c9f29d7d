"""The proportion of seeds that solve the task, with its Wilson interval."""

from __future__ import annotations

import math

import pandas as pd

from seqbench.results.statistics import wilson_interval
from seqbench.results.summaries.base import Cell, Row, Summary


class SolveRate(Summary):
    """`4/5 [38–96]%`: solved seeds of all seeds, and the 95 % interval of the proportion.

    It applies at the training length only. A diverged run is not solved.
    Columns: `solved`, a number of seeds; `solve_rate`; `solve_low` and `solve_high`.
    """

    columns = ("solved", "solve_rate", "solve_low", "solve_high")
    counts = ("solved",)
    legend = "runs solved, with the 95 % Wilson interval"

    def compute(self, cell: Cell) -> Row:
        """Return the number of solved seeds, their proportion and its interval."""
        if not cell.at_train_length:
            return {}
        n, solved = len(cell.seeds), sum(step is not None for step in cell.solved_at)
        low, high = wilson_interval(solved, n)
        return {
            "solved": solved,
            "solve_rate": solved / n if n else math.nan,
            "solve_low": low,
            "solve_high": high,
        }

    def text(self, row: Row) -> str:
        """Return the solved seeds and the interval in per cent; nothing where no seed ended."""
        if pd.isna(row["solve_rate"]):
            return ""
        return f"{row['solved']}/{row['seeds']} [{100 * row['solve_low']:.0f}–{100 * row['solve_high']:.0f}]%"
