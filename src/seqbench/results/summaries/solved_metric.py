"""The metric that `solved` is about, where it is not the one that the table shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from seqbench.results.numbers import measured
from seqbench.results.summaries.base import Cell, Row, Summary
from seqbench.results.summaries.metric_median import of_seeds


class SolvedMetric(Summary):
    """`correct 100.0 [98.5–100.0] %`: the test metric by which a run counts as solved, as in `MetricMedian`.

    It applies at the training length only, and to runs that say which metric that is.

    Columns: `solved_metric`, its name; `solved_metric_unit`; `solved_metric_median`; `solved_metric_values`,
    a list with the value of each seed; `solved_metric_baseline`, that of the best predictor that ignores the
    input, missing where the task does not know it.
    """

    columns = (
        *("solved_metric", "solved_metric_unit", "solved_metric_median", "solved_metric_values"),
        "solved_metric_baseline",
    )

    def compute(self, cell: Cell) -> Row:
        """Return the values of the metric and its baseline."""
        names = {run.solved_metric for run in cell.seeds if run.solved_metric not in (None, run.metric)}
        if len(names) != 1 or not cell.at_train_length:
            return {}
        (name,) = names
        found = [run.value_at(cell.length, name) for run in cell.seeds]
        values = [value for value in found if value is not None]
        if not values:
            return {}
        baselines = [run.baseline_at(name or "", str(cell.length)) for run in cell.seeds]
        return {
            "solved_metric": name,
            "solved_metric_unit": next(run.metrics[name].unit for run in cell.seeds if name in run.metrics),
            "solved_metric_median": median(values),
            "solved_metric_values": values,
            "solved_metric_baseline": next((b for b in baselines if b is not None), math.nan),
        }

    def text(self, row: Row) -> str:
        """Return the name with the median and its interval, or what so few seeds have of it."""
        if not isinstance(row["solved_metric"], str):
            return ""
        return f"{row['solved_metric']} {of_seeds(row['solved_metric_values'], row['solved_metric_unit'])}"

    def baseline_text(self, row: Row) -> str:
        """Return the name with the baseline, where the task knows it."""
        if not self.text(row) or math.isnan(row["solved_metric_baseline"]):
            return ""
        return f"{row['solved_metric']} {measured(row['solved_metric_baseline'], row['solved_metric_unit'])}"

    def explain(self, rows: Sequence[Row]) -> str:
        """Return which metrics these are."""
        names = sorted({str(row["solved_metric"]) for row in rows if self.text(row)})
        return f"by name, the metric that solved is about ({', '.join(names)})" if names else ""
