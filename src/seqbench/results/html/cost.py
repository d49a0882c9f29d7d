"""The panels of quality against cost: the test metric against parameters, training time, and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from seqbench.results.frame import Comparison, records
from seqbench.results.html.traces import (
    Panel,
    log_ticks,
    metric_axis,
    number,
    numbers,
    plain,
    points,
    said,
    with_interval,
)
from seqbench.results.numbers import count
from seqbench.results.rendering.rows import duration, size
from seqbench.results.summaries import Row
from seqbench.results.summaries.metric_median import MetricMedian

#: A column of the comparison -> the title of its axis, what divides it, and how it is written.
COSTS: dict[str, tuple[str, float, Callable[[Any], str]]] = {
    "parameters": ("live parameters", 1, lambda n: f"{count(n)} parameters"),
    "page.wall_time_s": ("training time of a run (s)", 1, lambda s: f"{duration(s)} a run"),
    "page.peak_memory_bytes": ("peak memory (MB)", 1e6, lambda b: f"{size(b)} at most"),
}


def cost_panels(comparison: Comparison) -> list[Panel]:
    """Return a panel for each task, training length and cost that its runs have."""
    rows = [row for row in records(comparison.frame) if row["length"] == row["train_length"] and row["n"]]
    models = sorted(comparison.frame["model"].unique())
    panels = []
    for task, length in dict.fromkeys((row["task"], row["length"]) for row in rows):
        here = [row for row in rows if (row["task"], row["length"]) == (task, length)]
        for column in COSTS:
            known = [row for row in here if number(row[column])]
            if known:
                panels.append(_panel(task, length, column, known, models))
    return panels


def _panel(task: str, length: int, column: str, rows: Sequence[Row], models: Sequence[str]) -> Panel:
    axis, divisor, written = COSTS[column]
    data = []
    for row in rows:
        text = f"<b>{plain(row['model'])}</b><br>{plain(MetricMedian().text(row))}<br>{written(row[column])}"
        at, middle = number(row[column] / divisor), number(median(row["values"]))
        trace = points(row["model"], models, [at], [middle], joined=False)
        data.append(said(with_interval(trace, "y", numbers([row["low"]]), numbers([row["high"]])), [text]))
    costs = [row[column] for row in rows]
    x_axis: dict[str, Any] = {"title": {"text": axis}}
    if max(costs) >= 2 * min(costs):
        x_axis |= log_ticks(min(costs) / divisor, max(costs) / divisor, count)
    else:
        # Of costs that are much the same the axis says that they are.
        x_axis |= {"range": [min(costs) / divisor / 1.25, max(costs) / divisor * 1.25], "nticks": 5}
    shown = [value for row in rows for value in row["values"]]
    layout = {"xaxis": x_axis, "yaxis": metric_axis(rows[0], shown)}
    where = f"{task} at {length}" if length else task
    kind = axis.partition(" (")[0]
    label = f"Test {rows[0]['metric']} on {where} against {kind}, a point for each model."
    return Panel(task, f"{where}: {kind}", label, data, layout, 250)
