"""The number of optimisation steps to solve the task, by Kaplan and Meier."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seqbench.results.numbers import count, counts
from seqbench.results.statistics.metrics import LEAST_SEEDS
from seqbench.results.statistics.survival import kaplan_meier
from seqbench.results.summaries.base import Cell, Row, Summary


class StepsToSolve(Summary):
    """`500 [200–∞] steps`: the median of Kaplan and Meier, and an interval that holds it in 93.75 % or more.

    It applies at the training length only, and where the task says when it is solved. A run that did not
    solve the task is censored at its budget, `trainer.max_steps`, also where it diverged or its patience
    ended it before; see `Result.budget`. A line says how many are, and where: `2 censored at 3k`. A
    median that was not reached reads `>3k`. The interval lies between two of the runs, and covers what
    that of a metric does, see `MetricMedian`; it is open upwards (∞) where unsolved runs count in it.
    Three and four runs have no interval: the least and the largest number of steps stand in parentheses,
    `500 (200–3k+) steps`. One or two runs have no summary: `200, 3k+ steps`. Where no run solved the task
    there is `none in 3k steps`.

    Columns: `median_steps`, infinite where it was not reached, missing under three runs; `steps_low` and
    `steps_high`, the interval, missing under five; `solved_at`, a list of the steps of the solved runs, and
    `censored_at`, a list of the budgets of the others.
    """

    columns = ("median_steps", "steps_low", "steps_high", "solved_at", "censored_at")

    def compute(self, cell: Cell) -> Row:
        """Return the steps of the runs, their median and its interval."""
        if not cell.solvable:
            return {}
        runs = list(zip(cell.solved_at, cell.budgets, strict=True))
        row: Row = {
            "solved_at": sorted(step for step, _ in runs if step is not None),
            "censored_at": sorted(budget for step, budget in runs if step is None),
        }
        if len(runs) >= LEAST_SEEDS:
            found = kaplan_meier(cell.solved_at, cell.budgets)
            row["median_steps"] = found.median
            row |= {"steps_low": found.median_low, "steps_high": found.median_high}
        return row

    def text(self, row: Row) -> str:
        """Return the median with its interval, and what is censored; nothing where no seed ended."""
        if not isinstance(row["solved_at"], list) or not row["seeds"]:
            return ""
        solved, censored = row["solved_at"], row["censored_at"]
        if not solved:
            return f"none in {counts(censored)} steps"
        each = [*map(count, solved), *(f"{count(step)}+" for step in censored)]
        if len(each) < LEAST_SEEDS:
            return f"{', '.join(each)} steps"
        middle = f">{count(censored[-1])}" if math.isinf(row["median_steps"]) else count(row["median_steps"])
        if math.isnan(row["steps_low"]):
            text = f"{middle} ({each[0]}–{each[-1]}) steps"
        else:
            text = f"{middle} [{count(row['steps_low'])}–{count(row['steps_high'])}] steps"
        return f"{text}\n{len(censored)} censored at {counts(censored)}" if censored else text

    def explain(self, rows: Sequence[Row]) -> str:
        """Return what the steps are, and what censored means where runs are."""
        rows = [row for row in rows if self.text(row) and row["solved_at"]]
        if not rows:
            return ""
        summary = (
            "median by Kaplan–Meier" if max(row["seeds"] for row in rows) >= LEAST_SEEDS else "each run's"
        )
        censored = any(row["censored_at"] for row in rows)
        marked = any("+" in self.text(row) for row in rows)
        return (
            f"steps to solve: {summary}"
            + censored * ", unsolved runs censored at their budget"
            + marked * " (+)"
        )
