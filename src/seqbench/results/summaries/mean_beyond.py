"""The mean of the test metric over the lengths beyond those of training."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from seqbench.results.numbers import measured
from seqbench.results.statistics.metrics import LEAST_SEEDS
from seqbench.results.summaries.base import Cell, Row, Summary
from seqbench.results.summaries.metric_median import of_seeds


class MeanBeyond(Summary):
    """`87.1 [71.0–99.9] %`, `best 99.9 %`: the mean over the test lengths above that of training.

    It is taken for each seed, and then summarised over seeds as in `MetricMedian`. The best seed's is
    the score of Delétang et al. (2023), where the lengths are 41 to 500. Nothing is said of a model that was
    trained at several lengths, or of seeds that lack a value.

    Columns: `beyond`, a list with the value of each seed at a length above that of training.
    """

    columns = ("beyond",)
    heading = "mean beyond"

    def compute(self, cell: Cell) -> Row:
        """Return the values of the seeds, at a length that training did not have."""
        return {"beyond": cell.values} if cell.length > cell.train_length else {}

    def explain(self, rows: Sequence[Row]) -> str:
        """Return what the column is."""
        return "mean beyond: of each seed over the test lengths above that of training, then as at one length"

    def side_text(self, rows: Sequence[Row]) -> str:
        """Return the summary over seeds; where there are several, the best beside it."""
        beyond = [row["beyond"] for row in rows if isinstance(row["beyond"], list)]
        if not beyond or len({row["train_length"] for row in rows}) > 1 or len({*map(len, beyond)}) > 1:
            return ""
        means = [fmean(its) for its in zip(*beyond, strict=True)]
        if not means:
            return ""
        unit, best = rows[0]["unit"], max if rows[0]["direction"] == "max" else min
        text = of_seeds(means, unit)
        return f"{text}\nbest {measured(best(means), unit)}" if len(means) >= LEAST_SEEDS else text
