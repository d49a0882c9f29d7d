"""The comparison of runs: models by tasks and lengths, as one tidy frame that every table is made from."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from seqbench.errors import ConfigError, StoreError, nearest, printable
from seqbench.results.labels import label_runs, notes
from seqbench.results.published import Entry, Reported, reported_for
from seqbench.results.summaries import DEFAULT, Cell, Row, Summary
from seqbench.results.summaries.note import Note
from seqbench.results.summaries.own import checked
from seqbench.runs.result import Result

if TYPE_CHECKING:
    from seqbench.tasks.metrics import Metric

#: The columns that belong to no summary, and those of them that hold whole numbers.
COLUMNS = (
    *("task", "train_length", "length", "model"),
    *("metric", "direction", "unit", "metric_low", "metric_high", "solved_when"),
    *("baseline", "baseline_loss"),
    *("runs", "failed", "diverged", "seeds"),
)
COUNTS = ("train_length", "length", "runs", "failed", "diverged", "seeds")

#: Labels of task and model with the lengths between them: (task, train_length, length, model).
Key = tuple[str, int, int, str]


@dataclass(frozen=True)
class Comparison:
    """A comparison: its frame, see `compare`, and what else tables show.

    Attributes:
        frame: the numbers.
        summaries: those that made it and can show it.
        notes: task to sentences on its models, see `labels.notes`.
        published: task to what the literature reports on it.
    """

    frame: pd.DataFrame
    summaries: tuple[Summary, ...]
    notes: Mapping[str, Sequence[str]]
    published: Mapping[str, Sequence[Reported]]


def compare(
    results: Iterable[Result],
    summaries: Sequence[Summary] = DEFAULT,
    published: Sequence[Entry] = (),
) -> Comparison:
    """Compare runs. The frame has a row for every task, training length, test length and model.

    A cell is there where a run is: models may have been asked for at lengths of their own, as by `seqbench
    span`. Of two runs of a cell with the same seed the later counts. There must be a result. Columns:

        task, train_length, length, model: the cell. Labels name the settings that differ, `lstm (lr=0.01)`.
        metric, direction, unit, metric_low, metric_high: the headline metric of the task and what it means;
            empty where every run failed before it was known.
        solved_when: the task's condition for a solved run.
        baseline: the metric of the best predictor that ignores the input, at the test length; missing where
            the task does not know it.
        baseline_loss: the loss of the best predictor that ignores the input, at the test length.
        runs, failed, diverged: the number of runs, and of those that failed or diverged.
        seeds: the number of runs that did not fail.

    Then the columns of the summaries, and `note`, see `note.Note`.

    Args:
        results: the runs.
        summaries: the statistics of a cell.
        published: what the literature reports, of which tables show what fits the tasks.

    Raises:
        ConfigError: two summaries have a column of the same name, or one has the name of a column above; or
            a summary of another package has a fault.
    """
    results = sorted(results, key=lambda result: (result.status != "failed", result.finished_at))
    summaries = (*map(checked, summaries), Note())
    _check_columns(summaries)
    labels = label_runs(results)
    of_task, cells = _cells(results, labels)
    rows = []
    usual = _usual_runs(cells)
    facts = {place: _task_facts(of_task[place[0]], place[2]) for place in {key[:3] for key in cells}}
    for task, train_length, length, model in sorted(cells):
        # By seed, and not as they ended: which of two processes is faster must change no table.
        runs = tuple(run for _, run in sorted(cells[task, train_length, length, model].items()))
        cell = Cell(runs, train_length, length, usual[task])
        row = {"task": task, "train_length": train_length, "length": length, "model": model}
        row |= facts[task, train_length, length]
        row |= {"runs": len(runs), "failed": cell.ended("failed"), "diverged": cell.ended("diverged")}
        row["seeds"] = len(cell.seeds)
        for summary in summaries:
            row |= dict.fromkeys(summary.columns, math.nan) | summary.compute(cell)
        # The texts of a result are those of a file that may come from anywhere.
        rows.append({key: printable(v) if isinstance(v, str) else v for key, v in row.items()})
    counts = [*COUNTS, *(name for summary in summaries for name in summary.counts)]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(counts, "Int64"))
    reported = {
        task: reported_for(its, sorted({key[1] for key in cells if key[0] == task}), published)
        for task, its in of_task.items()
        if published
    }
    return Comparison(frame, summaries, notes(results, labels), reported)


def with_metric(results: Iterable[Result], metric: str) -> list[Result]:
    """Return the results with another of their test metrics as the headline metric.

    Raises:
        StoreError: none of them has it.
    """
    results = list(results)
    known = sorted({name for result in results for metrics in result.test.values() for name in metrics})
    if metric not in known:
        raise StoreError(
            f"no result has the test metric {metric!r}; there are {', '.join(known)}.{nearest(metric, known)}"
        )
    return [replace(result, metric=metric) for result in results]


def records(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a comparison's frame as dictionaries."""
    return cast(list[Row], frame.to_dict("records"))


def _cells(
    results: Sequence[Result], labels: Sequence[tuple[str, str]]
) -> tuple[dict[str, list[Result]], dict[Key, dict[int, Result]]]:
    """Return the results of every task, and those of every cell by seed. Later results replace earlier."""
    # A run that failed before its length was known takes the length of the task's other runs.
    usual = {
        task: length
        for result, (task, _) in zip(results, labels, strict=True)
        if (length := train_length(result))
    }
    of_task: dict[str, list[Result]] = defaultdict(list)
    cells: dict[Key, dict[int, Result]] = defaultdict(dict)
    for result, (task, model) in zip(results, labels, strict=True):
        of_task[task].append(result)
        trained = train_length(result) or usual.get(task, 0)
        for length in {trained, *_test_lengths(result)}:
            cells[task, trained, length, model][result.seed] = result
    return of_task, cells


def _usual_runs(cells: Mapping[Key, Mapping[int, Result]]) -> dict[str, int]:
    """Return how many runs most cells of each task have; of two numbers that are as common, the larger."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for (task, *_), runs in cells.items():
        counts[task][len(runs)] += 1
    return {task: max(its, key=lambda runs: (its[runs], runs)) for task, its in counts.items()}


def meaning(name: str, metric: Metric | None) -> Row:
    """Return the columns of the frame that say what a metric is; of one that is not known its name alone."""
    return {
        "metric": name,
        "direction": metric.direction if metric else "",
        "unit": metric.unit if metric else "",
        "metric_low": metric.low if metric and metric.low is not None else math.nan,
        "metric_high": metric.high if metric and metric.high is not None else math.nan,
    }


def _task_facts(results: Sequence[Result], length: int) -> Row:
    """Return what is the same for all models on a task: its metric and what it means, its baseline."""

    def first(values: Iterable[Any]) -> Any:
        return next((value for value in values if value is not None), None)

    metric = first(result.headline for result in results)
    return meaning(first(result.metric for result in results) or "", metric) | {
        "solved_when": first(result.solved_when for result in results) or "",
        "baseline": first([*(r.baseline_at(r.metric or "", str(length)) for r in results), math.nan]),
        "baseline_loss": first([*(r.baseline_loss.get(str(length)) for r in results), math.nan]),
    }


def _check_columns(summaries: Iterable[Summary]) -> None:
    uses = Counter([*COLUMNS, *(name for summary in summaries for name in summary.columns)])
    if twice := [name for name, times in uses.items() if times > 1]:
        raise ConfigError(f"Two summaries, or a summary and the comparison, have the column {twice[0]!r}.")


def train_length(result: Result) -> int | None:
    """Return the length of the training sequences; None where a run failed before it was known."""
    length = result.config.get("task", {}).get("length")
    known = [length] if length else [*result.test, *result.baseline_loss]
    return int(known[0]) if known else None


def _test_lengths(result: Result) -> list[int]:
    asked = result.config.get("task", {}).get("eval_lengths") or []
    return [int(length) for length in [*asked, *result.test]]
