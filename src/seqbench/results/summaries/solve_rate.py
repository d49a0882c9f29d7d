"""The proportion of seeds that solve the task, with its Wilson interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from seqbench.results.statistics.proportion import wilson_interval
from seqbench.results.summaries.base import Cell, Row, Summary


class SolveRate(Summary):
    """`4/5 [38–96]%`: solved seeds of all seeds, and the 95 % interval of the proportion.

    It applies at the training length only, and where the task says when it is solved. A diverged run is
    not solved. A run is solved at the first of many looks at the validation set; where the test set says
    otherwise of a seed, its number is given too, `3 on test`. Columns: `solved`, a number of seeds;
    `solve_rate`; `solve_low` and `solve_high`; `solved_on_test`, a number of seeds; `test_differs`, that
    of the seeds for which the two differ."""

    columns = ("solved", "solve_rate", "solve_low", "solve_high", "solved_on_test", "test_differs")
    counts = ("solved", "solved_on_test", "test_differs")

    def compute(self, cell: Cell) -> Row:
        """Return the number of solved seeds, their proportion and its interval."""
        if not cell.solvable:
            return {}
        n, solved = len(cell.seeds), sum(step is not None for step in cell.solved_at)
        low, high = wilson_interval(solved, n)
        return {
            "solved": solved,
            "solve_rate": solved / n if n else math.nan,
            "solve_low": low,
            "solve_high": high,
            "solved_on_test": sum(run.solved_on_test is True for run in cell.seeds),
            "test_differs": sum(
                run.solved_on_test is not None and run.solved_on_test != (step is not None)
                for run, step in zip(cell.seeds, cell.solved_at, strict=True)
            ),
        }

    def explain(self, rows: Sequence[Row]) -> str:
        """Return what the numbers are."""
        if not any(self.text(row) for row in rows):
            return ""
        differs = any(row["test_differs"] for row in rows if not pd.isna(row["test_differs"]))
        return (
            "runs solved [95 % Wilson interval]"
            + differs * ", with how many the test set says are, where they differ (on test)"
        )

    def text(self, row: Row) -> str:
        """Return the solved seeds and the interval in per cent; nothing where no seed ended."""
        if pd.isna(row["solve_rate"]):
            return ""
        text = f"{row['solved']}/{row['seeds']} [{100 * row['solve_low']:.0f}–{100 * row['solve_high']:.0f}]%"
        return f"{text}\n{row['solved_on_test']} on test" if row["test_differs"] else text
