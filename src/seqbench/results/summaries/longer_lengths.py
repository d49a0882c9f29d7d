"""The test metric over the lengths beyond that of training."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from seqbench.results.numbers import MISSING, measured
from seqbench.results.summaries.base import Cell, Row, Summary
from seqbench.results.summaries.metric_median import of_seeds


class LongerLengths(Summary):
    """`62.0 [51.2–70.1] %, best 70.1 %`: the mean over all test lengths above that of training, over seeds.

    The score of Delétang et al. (2023) is the best seed's mean accuracy at lengths of 41 to 500, of models
    trained at up to 40. A run that lacks one of the lengths, or diverged, has no mean.

        seqbench report --summary seqbench.results.summaries.longer_lengths.LongerLengths

    Columns: `longer_lengths`, their number; `longer_values`, a list with the mean of each seed;
    `longer_best`, the best of them. They are missing where no test is longer than the training sequences.
    """

    columns = ("longer_lengths", "longer_values", "longer_best")
    counts = ("longer_lengths",)
    heading = "longer lengths"

    def compute(self, cell: Cell) -> Row:
        """Return the means of the seeds; the same in all cells of a model."""
        lengths = sorted({int(n) for run in cell.seeds for n in run.test if int(n) > cell.train_length})
        means = []
        for run in cell.seeds:
            values = [value for n in lengths if (value := run.value_at(n)) is not None]
            if lengths and len(values) == len(lengths):
                means.append(fmean(values))
        if not means:
            return {}
        best = min if any(run.direction == "min" for run in cell.seeds) else max
        return {"longer_lengths": len(lengths), "longer_values": means, "longer_best": best(means)}

    def side_text(self, rows: Sequence[Row]) -> str:
        """Return the median over seeds with its interval, and the best; of each training length a line."""
        trained = {row["train_length"]: row for row in rows if isinstance(row["longer_values"], list)}
        lines = [f"{length}→ {_told(row)}" for length, row in sorted(trained.items())]
        return "\n".join(lines) if len(lines) > 1 else "".join(map(_told, trained.values())) or MISSING

    def sorted_by(self, row: Row) -> float | None:
        """Return the median over seeds, smaller for a better one."""
        if not isinstance(row["longer_values"], list):
            return None
        middle: float = median(row["longer_values"])
        return -middle if row["direction"] == "max" else middle


def _told(row: Row) -> str:
    middle = of_seeds(row["longer_values"], row["unit"])
    several = len(row["longer_values"]) > 1
    return middle + f", best {measured(row['longer_best'], row['unit'])}" * several
