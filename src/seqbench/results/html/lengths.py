"""The panels against the length: how many runs solve a task, and its test metric, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

import pandas as pd

from seqbench.results.frame import Comparison, records
from seqbench.results.html.traces import (
    GREY,
    Panel,
    Trace,
    length_axis,
    metric_axis,
    model_axis,
    number,
    numbers,
    plain,
    points,
    said,
    share_axis,
    with_interval,
)
from seqbench.results.numbers import measured
from seqbench.results.styles import apart
from seqbench.results.summaries import Row
from seqbench.results.summaries.metric_median import MetricMedian
from seqbench.results.summaries.solve_rate import SolveRate


def length_panels(comparison: Comparison) -> list[Panel]:
    """Return two panels for each task: runs solved against training length, and the test metric.

    The metric is shown against the test length where all runs of the task were trained at one length, as in
    `figures.draw`. A panel with a single length has a row for each model instead.
    """
    models = sorted(comparison.frame["model"].unique())
    panels = []
    for task, frame in comparison.frame.groupby("task", sort=False):
        rows = records(frame)
        trained = [row for row in rows if row["length"] == row["train_length"]]
        one_length = len({row["train_length"] for row in rows}) == 1
        if any(row["solved_when"] for row in rows):
            panels.append(_solve_rates(str(task), trained, models))
        panels.append(_metrics(str(task), rows if one_length else trained, models))
    return [panel for panel in panels if panel is not None]


def _solve_rates(task: str, rows: Sequence[Row], models: Sequence[str]) -> Panel | None:
    """Return the panel of solve rates; None where no run ended."""
    rows = [row for row in rows if not pd.isna(row["solve_rate"])]
    if not rows:
        return None

    def text(row: Row) -> str:
        return f"{_named(row)}<br>{plain(SolveRate().text(row)).replace(chr(10), '<br>')}"

    marks = _Marks("solve_rate", "solve_low", "solve_high", text)
    data, layout, height = _against_length(rows, models, marks, share_axis("runs solved"), "training length")
    title = f"{task}: runs solved"
    label = f"Share of runs that solved {task} against the training length, for {_listed(rows)}."
    return Panel(task, title, label, data, layout, height)


def _metrics(task: str, rows: Sequence[Row], models: Sequence[str]) -> Panel | None:
    """Return the panel of the test metric; None where no run has one."""
    rows = [{**row, "middle": median(row["values"])} for row in rows if row["n"]]
    if not rows:
        return None
    first = rows[0]
    beyond = any(row["length"] != row["train_length"] for row in rows)
    title_of_lengths = f"test length, trained at {first['train_length']}" if beyond else "training length"

    def text(row: Row) -> str:
        return f"{_named(row)}<br>{plain(MetricMedian().text(row))}"

    marks = _Marks("middle", "low", "high", text)
    baselines = {row["length"]: row["baseline"] for row in rows if not pd.isna(row["baseline"])}
    shown = [value for row in rows for value in row["values"]] + [*baselines.values()]
    axis = metric_axis(first, shown)
    data, layout, height = _against_length(rows, models, marks, axis, title_of_lengths)
    title = f"{task}: {first['metric']}"
    label = f"Test {first['metric']} on {task} against the length, for {_listed(rows)}."
    present = len({row["model"] for row in rows})
    baseline = _baseline(baselines, sorted({row["length"] for row in rows}), present, first["unit"])
    return Panel(task, title, label, [*baseline, *data], layout, height)


class _Marks:
    """Which columns are the point and its interval, and what is said of it."""

    def __init__(self, value: str, low: str, high: str, text: Callable[[Row], str]) -> None:
        self.columns = (value, low, high)
        self.text = text

    def of(self, rows: Iterable[Row]) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the points and the ends of their intervals."""
        at, low, high = (numbers(row[name] for row in rows) for name in self.columns)
        return at, low, high


def _against_length(
    rows: Sequence[Row], models: Sequence[str], marks: _Marks, axis: Trace, title: str
) -> tuple[list[Trace], Trace, int]:
    """Return traces, layout and height: lengths along x, or where there is one a row for each model."""
    lengths = sorted({row["length"] for row in rows})
    present = [model for model in models if any(row["model"] == model for row in rows)]
    data: list[Trace] = []
    for place, model in enumerate(present):
        mine = sorted((row for row in rows if row["model"] == model), key=lambda row: int(row["length"]))
        values, low, high = marks.of(mine)
        if len(lengths) > 1:
            x: list[Any] = [number(apart(row["length"], place, len(present), lengths)) for row in mine]
            trace = with_interval(points(model, models, x, values, joined=True), "y", low, high)
            data += _seeds(trace, mine, x, "y") if marks.columns[0] == "middle" else []
        else:
            trace = with_interval(points(model, models, values, [place], joined=False), "x", low, high)
            data += _seeds(trace, mine, [place], "x") if marks.columns[0] == "middle" else []
        data.append(said(trace, map(marks.text, mine)))
    if len(lengths) > 1:
        return data, {"xaxis": length_axis(f"{title} (steps)", lengths), "yaxis": axis}, Panel.height
    of_models, height = model_axis(present)
    return data, {"xaxis": axis, "yaxis": of_models}, height


def _seeds(trace: Trace, rows: Sequence[Row], places: Sequence[Any], axis: str) -> list[Trace]:
    """Return the dots of every seed in the rows, at their places, values along the axis x or y."""
    values = [number(value) for row in rows for value in row["values"]]
    at = [place for row, place in zip(rows, places, strict=True) for _ in row["values"]]
    texts = [
        f"{_named(row)}<br>seed {seed}: {plain(measured(value, row['unit']))}"
        for row in rows
        for value, seed in zip(row["values"], row["page.value_seeds"], strict=True)
    ]
    x, y = (values, at) if axis == "x" else (at, values)
    look = {"color": trace["marker"]["color"], "size": 5, "opacity": 0.45}
    dots = {"type": "scatter", "mode": "markers", "meta": trace["meta"], "x": x, "y": y, "marker": look}
    return [said(dots, texts)]


def _baseline(known: dict[int, float], lengths: Sequence[int], models: int, unit: str) -> list[Trace]:
    """Return the line of the best predictor that ignores the input; nothing where it is not known."""
    if not known:
        return []
    line = {"type": "scatter", "mode": "lines", "line": {"color": GREY, "dash": "dash", "width": 1.2}}
    if len(lengths) > 1:
        values = [known[length] for length in sorted(known)]
        x: list[Any] = sorted(known)
        y: list[Any] = numbers(values)
    else:
        values = [next(iter(known.values()))] * 2
        x, y = numbers(values), [-0.5, models - 0.5]
    text = "baseline: the best predictor that ignores the input<br>"
    return [said(line | {"x": x, "y": y}, (text + plain(measured(value, unit)) for value in values))]


def _named(row: Row) -> str:
    """Return the model of a row and its length, for a text where it is pointed at."""
    trained, length = row["train_length"], row["length"]
    at = f"at {length}" if trained == length else f"trained at {trained}, tested at {length}"
    return f"<b>{plain(row['model'])}</b> {at}"


def _listed(rows: Sequence[Row]) -> str:
    models = sorted({row["model"] for row in rows})
    return ", ".join(models) if len(models) <= 12 else f"{len(models)} models"
