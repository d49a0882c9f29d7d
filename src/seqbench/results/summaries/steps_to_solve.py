"""The median number of optimisation steps to solve the task."""

from __future__ import annotations

import math

import pandas as pd

from seqbench.results.numbers import count
from seqbench.results.statistics.survival import median_steps
from seqbench.results.summaries.base import Cell, Row, Summary


class StepsToSolve(Summary):
    """`2.4k steps`, or `never` where half of the seeds or more did not solve the task.

    It applies at the training length only.
    Columns: `median_steps`, infinite for never (null in JSON).
    """

    columns = ("median_steps",)
    legend = "median steps to solve ('never': half of the runs or more did not)"

    def compute(self, cell: Cell) -> Row:
        """Return the median over seeds, where an unsolved seed counts as infinity."""
        return {"median_steps": median_steps(cell.solved_at)} if cell.at_train_length else {}

    def text(self, row: Row) -> str:
        """Return the median in three digits; nothing where no seed ended."""
        steps = row["median_steps"]
        if pd.isna(steps):
            return ""
        return "never" if math.isinf(steps) else f"{count(steps)} steps"
