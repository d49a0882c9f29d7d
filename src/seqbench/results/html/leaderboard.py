"""The leaderboard: a row for each model on a task at a length, with a number to sort each column by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seqbench.results.frame import Comparison, records
from seqbench.results.html.headline import ranking
from seqbench.results.numbers import MISSING, count
from seqbench.results.order import ORDERS
from seqbench.results.rendering.blocks import column_of
from seqbench.results.rendering.rows import duration, size
from seqbench.results.summaries import Row, Summary
from seqbench.results.summaries.metric_median import MetricMedian
from seqbench.results.summaries.solve_rate import SolveRate
from seqbench.results.summaries.solved_metric import SolvedMetric
from seqbench.results.summaries.steps_to_solve import StepsToSolve


@dataclass(frozen=True)
class Entry:
    """A cell of the table.

    Attributes:
        text: what it reads.
        key: what the column is sorted by, a better value smaller; empty for what is last.
        low, high, at: the ends and the place of an interval on a line from 0 to 1; None for no such line.
    """

    text: str
    key: str
    at: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A row of the table: the task, the length as a heading has it, the model, and the entries by column."""

    task: str
    length: str
    model: str
    entries: dict[str, Entry]


def leaderboard(comparison: Comparison, summaries: Sequence[Summary] = (), ranked: bool = True) -> list[Line]:
    """Return the rows: by task, the greatest length first.

    Args:
        comparison: with the columns of `detail.Detail`.
        summaries: more statistics, which have a column each.
        ranked: whether models are ranked as in the headline, and not as the comparison has them.
    """
    lines = []
    for _, frame in comparison.frame.groupby("task", sort=False):
        rows = records(frame)
        solvable = any(row["solved_when"] for row in rows)
        models = ranking(rows, solvable) if ranked else [*dict.fromkeys(row["model"] for row in rows)]
        place = {model: at for at, model in enumerate(models)}
        rows.sort(key=lambda row: (-row["train_length"], -row["length"], place[row["model"]]))
        for row in rows:
            entries = _entries(row, solvable) | {name: _more(its, row) for name, its in _named(summaries)}
            lines.append(Line(row["task"], column_of(row), row["model"], entries))
    return lines


def _entries(row: Row, solvable: bool) -> dict[str, Entry]:
    solved = Entry(MISSING, "")
    if solvable and not pd.isna(row["solve_rate"]):
        text = SolveRate().text(row).replace("\n", ", ")
        ends = (float(row[name]) for name in ("solve_rate", "solve_low", "solve_high"))
        solved = Entry(text, key(ORDERS["solve_rate"](row)), *ends)
    metrics = "; ".join(filter(None, [MetricMedian().text(row), SolvedMetric().text(row)]))
    steps, *_ = StepsToSolve().text(row).split("\n")
    return {
        "length": Entry(column_of(row), key(row["train_length"] + row["length"] / 1e7)),
        "solved": solved,
        "metric": Entry(metrics or MISSING, key(ORDERS["metric"](row))),
        "steps": Entry(
            steps.removesuffix(" steps") if solvable and steps else MISSING, key(ORDERS["steps"](row))
        ),
        "parameters": Entry(count(row["parameters"]), key(row["parameters"])),
        "time": _measured(row["page.wall_time_s"], duration),
        "memory": _measured(row["page.peak_memory_bytes"], size),
        "note": Entry(str(row["note"]), str(row["note"])),
    }


def key(value: Any) -> str:
    """Return what a number is sorted by; empty for one that is missing, infinite last of all numbers."""
    if pd.isna(value):
        return ""
    return "1e308" if math.isinf(value) else f"{float(value):.8g}"


def _measured(value: Any, written: Callable[[Any], str]) -> Entry:
    return Entry(MISSING if pd.isna(value) else written(value), key(value))


def columns(lines: Sequence[Line], summaries: Sequence[Summary] = ()) -> list[tuple[str, str]]:
    """Return the columns after task and model that say something: name and heading."""
    found = [
        ("length", "length"),
        ("solved", "runs solved"),
        ("metric", "test metric"),
        ("steps", "steps to solve"),
        ("parameters", "parameters"),
        ("time", "time a run"),
        ("memory", "memory"),
        *((name, its.heading or its.title) for name, its in _named(summaries)),
        ("note", "note"),
    ]
    return [
        column for column in found if any(line.entries[column[0]].text not in ("", MISSING) for line in lines)
    ]


def _named(summaries: Sequence[Summary]) -> Iterator[tuple[str, Summary]]:
    """Yield the columns of statistics that were asked for, by a name that no other column has."""
    for place, summary in enumerate(summaries):
        yield f"summary {place}", summary


def _more(summary: Summary, row: Row) -> Entry:
    text = (summary.side_text([row]) if summary.heading else summary.text(row)) or MISSING
    value = summary.sorted_by(row)
    return Entry(text.replace("\n", ", "), text if value is None else key(value))
