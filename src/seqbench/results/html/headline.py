"""The headline: for each task, which model learns it at which length, how surely, and at what cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from seqbench.results.frame import Comparison, records
from seqbench.results.numbers import counts
from seqbench.results.order import ORDERS
from seqbench.results.rendering.blocks import column_of
from seqbench.results.rendering.rows import duration
from seqbench.results.summaries import Row
from seqbench.results.summaries.metric_median import MetricMedian
from seqbench.results.summaries.solve_rate import SolveRate

#: What ranks the models of a task, each at the greatest length first: a better value is smaller.
RANKED_BY = ("solve_rate", "steps", "metric")
#: Of a task that says not when it is solved.
RANKED_BY_METRIC = ("metric",)


@dataclass(frozen=True)
class Cell:
    """A model at one length.

    Attributes:
        solved: `4/5`; empty where runs do not count as solved.
        rate, low, high: the share and its interval, 0 to 1; None where there is none.
        metric: the test metric with its interval; empty without a value.
        told: both, and what must be known of the runs.
        note: what must be known of the runs, such as how many failed.
    """

    solved: str
    rate: float | None
    low: float | None
    high: float | None
    metric: str
    told: str
    note: str


@dataclass(frozen=True)
class Line:
    """A model.

    Attributes:
        span: the length at which half of its runs solve the task, with its interval; empty if not known.
        cells: column to cell; a column without runs has none.
        parameters, time: of its runs over all lengths, as text.
    """

    model: str
    span: str
    cells: Mapping[str, Cell]
    parameters: str
    time: str


@dataclass(frozen=True)
class Table:
    """A task.

    Attributes:
        metric, better, unit, solved_when: what is measured, which way is better, when a run counts as solved.
        columns: the lengths; `50→200` was trained at the first and tested at the second.
        lines: the models, the best first.
        baseline: column to what the best predictor that ignores the input has; empty where it is not known.
        notes: what must be known of the models.
    """

    task: str
    metric: str
    better: str
    unit: str
    solved_when: str
    columns: Sequence[str]
    lines: Sequence[Line]
    baseline: Mapping[str, str]
    notes: Sequence[str]

    @property
    def has_spans(self) -> bool:
        """Whether the span of a model is known."""
        return any(line.span for line in self.lines)


def headline(
    comparison: Comparison, spans: Mapping[tuple[str, str], str], ranked: bool = True
) -> list[Table]:
    """Return a table for each task.

    Args:
        comparison: with the columns of `detail.Detail`.
        spans: task and model, to the span at which half of the runs solve the task, with its interval.
        ranked: whether models are ranked by what solves the task best, and not as the comparison has them.
    """
    known = {*comparison.frame["task"]}
    others = dict.fromkeys(task for task, _ in spans if task not in known)
    tables = [_of_spans(task, spans) for task in others]
    for task, frame in comparison.frame.groupby("task", sort=False):
        rows = records(frame)
        first = rows[0]
        solvable = any(row["solved_when"] for row in rows)
        columns = dict.fromkeys(column_of(row) for row in sorted(rows, key=_lengths))
        baselines = {column_of(row): MetricMedian().baseline_text(row) for row in rows}
        of_model: dict[str, list[Row]] = {}
        for row in rows:
            of_model.setdefault(row["model"], []).append(row)
        order = ranking(rows, solvable) if ranked else [*of_model]
        lines = [
            _line(model, of_model[model], spans.get((str(task), model), ""), solvable) for model in order
        ]
        tables.append(
            Table(
                task=str(task),
                metric=first["metric"],
                better={"max": "higher is better", "min": "lower is better"}.get(first["direction"], ""),
                unit="" if first["unit"] == "share" else first["unit"],
                solved_when=first["solved_when"],
                columns=[*columns],
                lines=lines,
                baseline={column: text for column, text in baselines.items() if text},
                notes=comparison.notes.get(str(task), ()),
            )
        )
    return tables


def _of_spans(task: str, spans: Mapping[tuple[str, str], str]) -> Table:
    """Return the table of a task whose span is not its length: the spans of its models alone."""
    lines = [Line(model, span, {}, "–", "–") for (of, model), span in spans.items() if of == task]
    return Table(task, "", "", "", "", [], lines, {}, [])


def ranking(rows: Sequence[Row], solvable: bool) -> list[str]:
    """Return the models of a task, the best first.

    The share of runs that solve it decides, at the greatest length and then at the next; then the steps that
    it took, likewise; then the test metric.

    Args:
        rows: of the frame, all those of the task.
        solvable: whether runs count as solved; else the metric alone decides.
    """
    columns = sorted({_lengths(row) for row in rows}, reverse=True)
    by = RANKED_BY if solvable else RANKED_BY_METRIC
    values: dict[str, dict[tuple[int, int], list[float]]] = {}
    for row in rows:
        found = [ORDERS[name](row) for name in by]
        numbers = [math.inf if pd.isna(value) else float(value) for value in found]
        values.setdefault(row["model"], {})[_lengths(row)] = numbers

    def place(model: str) -> tuple[list[float], str]:
        mine = values[model]
        # Of models of which none solves a length, shorter ones decide, not what they have there by chance.
        return [mine[at][n] if at in mine else math.inf for n in range(len(by)) for at in columns], model

    return sorted(values, key=place)


def _line(model: str, rows: Sequence[Row], span: str, solvable: bool) -> Line:
    times = [row["page.wall_time_s"] for row in rows if row["length"] == row["train_length"]]
    known = [time for time in times if not pd.isna(time)]
    ends = dict.fromkeys([duration(min(known)), duration(max(known))]) if known else {"–": None}
    return Line(
        model=model,
        span=span,
        cells={column_of(row): _cell(row, solvable) for row in rows},
        parameters=counts(row["parameters"] for row in rows),
        time="–".join(ends),
    )


def _cell(row: Row, solvable: bool) -> Cell:
    metric = MetricMedian().text(row)
    known = solvable and not pd.isna(row["solve_rate"])
    solved = SolveRate().text(row) if known else ""
    rate, low, high = (
        float(row[name]) if known else None for name in ("solve_rate", "solve_low", "solve_high")
    )
    share = f"{row['solved']}/{row['seeds']}" if known else ""
    told = "; ".join(filter(None, [solved.replace("\n", ", "), metric, row["note"]]))
    return Cell(share, rate, low, high, metric, told, str(row["note"]))


def _lengths(row: Row) -> tuple[int, int]:
    return row["train_length"], row["length"]
