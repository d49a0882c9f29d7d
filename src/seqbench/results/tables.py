"""The comparison of runs: models by tasks and lengths, as one tidy frame that every table is made from."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import pandas as pd

from seqbench.config.identity import INCIDENTAL
from seqbench.config.presets import GROUPS
from seqbench.errors import StoreError, nearest
from seqbench.results.statistics import median_steps, t_interval, wilson_interval
from seqbench.results.store import Result

#: The parts of a configuration that tell no rows or columns apart: targets differ where these do.
UNSAID = (
    *(key for key in INCIDENTAL if key not in ("preset", "model.param_budget")),
    *(f"preset.{group}" for group in GROUPS if group != "optim"),
)
#: Last parts of the names of metrics that are shares: shown in per cent, the more the better.
SHARES = frozenset({"accuracy", "correct", "exact", "facts", "legal", "long"})

Row = dict[str, Any]


def compare(results: Iterable[Result]) -> pd.DataFrame:
    """Return the tidy comparison: one row per task, training length, test length and model.

    Every model has a row for every length of every task; `runs` is 0 where it was not run. Of two runs of a
    cell with the same seed the later counts. There must be a result. Columns:

        task, train_length, length, model: the cell. Labels name the settings that differ, `lstm (lr=0.01)`.
        metric, best, criterion: of the task; empty where every run failed before it knew them.
        runs, failed, diverged: how many runs there are, and how many of them ended so.
        seeds: runs that did not fail; n: those among them with a finite metric, which make the mean.
        mean, low, high: the metric and its 95 % t-interval; a single value has no interval.
        solved, solve_rate, solve_low, solve_high: of `seeds`, with the 95 % Wilson interval; a diverged run
            is not solved. Missing, like the next, where the test length is not the training length.
        median_steps: infinite (null in JSON) where half of the seeds or more did not solve.
        baseline_loss: of the best predictor that ignores the input.
        parameters; sequences_per_s: the median over runs.
        note: what is amiss with the cell.
    """
    results = sorted(results, key=lambda result: (result.status != "failed", result.finished_at))
    named = list(zip(results, _labels(results), strict=True))
    # A run that failed before it knew its length was to have the one that others have.
    usual = {task: length for result, (task, _) in named if (length := _train_length(result))}
    facts: dict[str, list[Result]] = defaultdict(list)
    cells: dict[tuple[str, int, int, str], dict[int, Result]] = defaultdict(dict)
    for result, (task, model) in named:
        facts[task].append(result)
        trained = _train_length(result) or usual.get(task, 0)
        for length in {trained, *_test_lengths(result)}:
            cells[task, trained, length, model][result.seed] = result
    most: dict[str, int] = Counter()
    for (task, *_), runs in cells.items():
        most[task] = max(most[task], len(runs))
    rows = [
        {
            **{"task": task, "train_length": trained, "length": length, "model": model},
            **{name: _first(facts[task], name) or "" for name in ("metric", "best", "criterion")},
            **_cell([*cells.get((task, trained, length, model), {}).values()], length, length == trained),
        }
        for task, trained, length in sorted({key[:3] for key in cells})
        for model in _expected(task, cells)
    ]
    frame = pd.DataFrame(rows)
    frame["baseline_loss"] = frame.groupby(["task", "length"])["baseline_loss"].transform("first")
    frame["note"] = [_note(row, most[row["task"]]) for row in records(frame)]
    counts = ["train_length", "length", "runs", "failed", "diverged", "seeds", "n", "solved", "parameters"]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def is_share(metric: str | None) -> bool:
    """Whether a metric is a share: of what is right, or of what is not."""
    return is_error(metric) or (metric or "").rpartition("_")[2] in SHARES


def is_error(metric: str | None) -> bool:
    """Whether a metric is the share of what is wrong: error, word_error, error_two_facts."""
    return "error" in (metric or "").split("_")


def told_by(results: Iterable[Result], metric: str) -> list[Result]:
    """Return the results with another of their test metrics as the one that tables show.

    Raises:
        StoreError: none of them has it.
    """
    results = list(results)
    known = sorted({name for result in results for metrics in result.test.values() for name in metrics})
    if metric not in known:
        raise StoreError(
            f"no result has the test metric {metric!r}; there are {', '.join(known)}.{nearest(metric, known)}"
        )
    best: Literal["max", "min"] = "max" if is_share(metric) and not is_error(metric) else "min"
    return [replace(result, metric=metric, best=best) for result in results]


def provenance(results: Sequence[Result]) -> str:
    """Return in a sentence what the results were made with: seeds, code, machine, time."""

    def said(values: Iterable[object]) -> str:
        return ", ".join(sorted({str(value) for value in values if value}))

    seeds = sorted({result.seed for result in results})
    commits = said((result.commit or "")[:9] + (result.commit or "")[40:] for result in results)
    hours = sum(result.wall_time_s for result in results) / 3600
    spent = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
    return (
        f"{len(results)} runs, seeds {', '.join(map(str, seeds))}; commit {commits or 'unknown'}; "
        f"torch {said(r.versions.get('torch') for r in results)} on {said(r.device for r in results)}; "
        f"{spent} of training in all, until {max(result.finished_at for result in results)}."
    )


def records(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a comparison as dictionaries."""
    return cast(list[Row], frame.to_dict("records"))


def _expected(task: str, cells: Iterable[tuple[str, int, int, str]]) -> list[str]:
    """Return the models a task has rows for: its own, and those of other tasks that it lacks in any form."""
    models = {model for its, *_, model in cells if its == task}
    names = {model.partition(" (")[0] for model in models}
    return sorted(models | {model for *_, model in cells if "(" not in model and model not in names})


def _cell(runs: Sequence[Result], length: int, trained_there: bool) -> Row:
    """Return what the runs of one cell, one per seed, come to."""
    seeds = [run for run in runs if run.status != "failed"]
    tested = [run.test.get(str(length), {}).get(run.metric or "") for run in seeds]
    values = [value for value in tested if value is not None]
    solved_at = [None if run.status == "diverged" else run.solved_at_step for run in seeds]
    solved = sum(step is not None for step in solved_at)
    ended = Counter(run.status for run in runs)
    row: Row = {"runs": len(runs), "failed": ended["failed"], "diverged": ended["diverged"]}
    row |= {"seeds": len(seeds), "n": len(values)}
    row |= zip(("mean", "low", "high"), t_interval(values), strict=True)
    row |= {"solved": solved, "solve_rate": solved / len(seeds) if seeds else math.nan}
    row |= zip(("solve_low", "solve_high"), wilson_interval(solved, len(seeds)), strict=True)
    row["median_steps"] = median_steps(solved_at)
    if not trained_there:
        row |= dict.fromkeys(("solved", "solve_rate", "solve_low", "solve_high", "median_steps"), math.nan)
    baselines = (run.baseline_loss.get(str(length)) for run in runs)
    row["baseline_loss"] = next((loss for loss in baselines if loss is not None), math.nan)
    row["parameters"] = _first(runs, "parameters")
    row["sequences_per_s"] = pd.Series([run.sequences_per_s for run in runs], dtype=float).median()
    return row


def _note(row: Row, most: int) -> str:
    """Return what is amiss with a cell; other cells have up to `most` runs."""
    if not row["runs"]:
        return "not run"
    notes = [f"{row['runs']} of {most} seeds"] if row["runs"] < most else []
    notes += [f"{row[status]} {status}" for status in ("failed", "diverged") if row[status]]
    notes += [f"mean of {row['n']}"] if 0 < row["n"] < row["seeds"] else []
    return ", ".join(notes)


def _first(runs: Iterable[Result], name: str) -> Any:
    """Return the first value that the field has in a run; one that failed early may not know it."""
    return next((value for run in runs if (value := getattr(run, name)) is not None), None)


def _train_length(result: Result) -> int | None:
    length = result.config.get("task", {}).get("length")
    known = [length] if length else [*result.test, *result.baseline_loss]
    return int(known[0]) if known else None


def _test_lengths(result: Result) -> list[int]:
    asked = result.config.get("task", {}).get("eval_lengths") or []
    return [int(length) for length in [*asked, *result.test]]


def _labels(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return each run's labels of task and model, which name the settings that tell its namesakes apart.

    Settings of a task are compared among its runs, the rest among the runs of a model on one task: what
    differs between tasks alone, say the number of steps, is no other model.
    """
    configs = [_settings(result.config) for result in results]
    ours = [{key: text for key, text in c.items() if key.startswith("task.")} for c in configs]
    theirs = [{key: text for key, text in c.items() if not key.startswith("task.")} for c in configs]
    tasks = _named_apart([r.task for r in results], ours, [""] * len(results))
    models = _named_apart([r.model for r in results], theirs, tasks)
    return list(zip(tasks, models, strict=True))


def _named_apart(names: list[str], settings: list[dict[str, str]], within: list[str]) -> list[str]:
    """Return each name with the settings in which it differs from the same name in the same `within`."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for name, mine, place in zip(names, settings, within, strict=True):
        groups[name, place].append(mine)
    differing: dict[str, set[str]] = defaultdict(set)
    for (name, _), group in groups.items():
        keys = set().union(*group)
        differing[name] |= {key for key in keys if len({mine.get(key) for mine in group}) > 1}
    return [_label(name, mine, differing[name]) for name, mine in zip(names, settings, strict=True)]


def _label(name: str, settings: Mapping[str, str], keys: Iterable[str]) -> str:
    short = {key: key.rpartition(".")[2] for key in sorted(keys)}
    uses = Counter(short.values())
    shown = {key: last if uses[last] == 1 else key for key, last in short.items()}
    said = [f"{shown[key]}={settings[key]}" for key in shown if key in settings]
    return f"{name} ({', '.join(said)})" if said else name


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that make a row or a column of their own: dotted key to value, without None."""
    lengths = ("task.length", "task.eval_lengths")
    settings = {
        key: str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        for key, value in _flat(config)
        if value is not None and "_target_" not in key
        if not any(key == part or key.startswith(f"{part}.") for part in (*UNSAID, *lengths))
    }
    if "model.param_budget" in settings:
        settings.pop("model.hidden_size", None)  # derived from the budget, for each task anew
    return settings


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
