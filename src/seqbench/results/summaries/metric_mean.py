"""The mean of the test metric over seeds, with its t-interval."""

from __future__ import annotations

from seqbench.results.numbers import MISSING, measured
from seqbench.results.statistics.metrics import t_interval
from seqbench.results.summaries.base import Cell, Row, Summary


class MetricMean(Summary):
    """`0.003 ±0.002`: mean and half-width of Student's 95 % interval.

    Columns: `n`, the number of seeds with a finite value; `mean`; `low` and `high`, missing for one value.
    """

    columns = ("n", "mean", "low", "high")
    counts = ("n",)
    legend = "test metric, mean over seeds ± half-width of the 95 % t-interval"

    def compute(self, cell: Cell) -> Row:
        """Return the number of values, their mean and its interval."""
        mean, low, high = t_interval(cell.values)
        return {"n": len(cell.values), "mean": mean, "low": low, "high": high}

    def text(self, row: Row) -> str:
        """Return the mean; a dash where seeds ended without a finite value."""
        if row["n"]:
            return measured(row["mean"], row["unit"], row["high"] - row["mean"])
        return MISSING if row["seeds"] else ""
