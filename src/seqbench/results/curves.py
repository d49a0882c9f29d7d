"""Learning curves: what runs measured in training, as one tidy frame, and their median over seeds."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from seqbench.errors import StoreError, nearest
from seqbench.results.frame import meaning, train_length
from seqbench.results.labels import label_runs
from seqbench.results.statistics.metrics import summarise
from seqbench.results.summaries import Row
from seqbench.runs.places import PlacedRun, read_places

#: The columns of the frame of curves, and those that name a model on a task.
COLUMNS = ("task", "length", "model", "preset", "hash", "seed", "step", "split", "metric", "value")
CELL = ["task", "length", "model"]


def load_curves(*places: str | Path) -> pd.DataFrame:
    """Return what runs measured in training, one row for each evaluation and quantity.

        curves = seqbench.load_curves("runs", "others.jsonl.gz")
        losses = curves[(curves["split"] == "validation") & (curves["metric"] == "loss")]

    Columns:
        task, length, model: as in a report; the model has the settings that differ, `lstm (lr=0.01)`.
        preset, hash, seed: the preset of the model, the hash of the configuration, the seed.
        step: optimisation steps taken.
        split, metric, value: a metric on the `validation` set; or of the steps since the last evaluation,
            `train`: their mean `loss` and `gradient_norm`, and `lr`, `seconds` so far, spectral quantities.
            Of a run that diverged no metric of its last evaluation is a number, whatever was measured.

    Args:
        places: folders of runs, or files of `seqbench runs export --curves`; `runs` if none is named.

    Raises:
        StoreError: a place cannot be read, or no run has curves.
    """
    return curves_of(read_places(places or ["runs"], warnings.warn), warnings.warn)


def curves_of(runs: Sequence[PlacedRun], warn: Callable[[str], object]) -> pd.DataFrame:
    """Return the curves of runs, see `load_curves`. Of two runs of a cell with one seed the later counts.

    Args:
        runs: the runs.
        warn: called with a sentence about runs that have no curves.

    Raises:
        StoreError: no run has curves.
    """
    labels = label_runs([run.result for run in runs])
    chosen: dict[tuple[str, int, str, int], PlacedRun] = {}
    for run, (task, model) in sorted(zip(runs, labels, strict=True), key=lambda pair: _ended(pair[0])):
        if run.result.status != "failed":
            chosen[task, train_length(run.result) or 0, model, run.result.seed] = run
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    missing = 0
    for (task, length, model, seed), run in sorted(chosen.items(), key=lambda entry: entry[0]):
        its, text = run.result, run.curves()
        missing += text is None
        rows = [*_rows(text or "", its.metrics)]
        if its.status == "diverged" and rows:
            last = rows[-1][0]
            rows = [(*row[:3], math.nan) if row[:2] == (last, "validation") else row for row in rows]
        for row in rows:
            cells = (task, length, model, its.model, its.hash, seed, *row)
            for name, value in zip(COLUMNS, cells, strict=True):
                columns[name].append(value)
    if not columns["step"]:
        raise StoreError("no run here has curves; `seqbench runs export --curves` takes them along.")
    if missing:
        warn(f"{missing} of {len(chosen)} runs have no curves: their metrics.csv is missing or damaged.")
    return pd.DataFrame(columns)


def shown_metrics(runs: Sequence[PlacedRun], name: str | None = None) -> dict[str, Row]:
    """Return for each task which metric its curves show and what it means, as `frame.meaning` does.

    Args:
        runs: the runs, with all that `curves_of` was given.
        name: a metric, or a quantity of training such as `train_loss`; the headline metric if it is None.
    """
    found: dict[str, Row] = {}
    for run, (task, _) in zip(runs, label_runs([run.result for run in runs]), strict=True):
        if its := name or run.result.metric:
            metric = run.result.metrics.get("loss" if its == "train_loss" else its)
            if task not in found or metric is not None:
                found[task] = meaning(its, metric)
    return found


def of_metrics(curves: pd.DataFrame, metrics: Mapping[str, Row]) -> pd.DataFrame:
    """Return the rows of curves that belong to the metric of each task, see `shown_metrics`.

    Raises:
        StoreError: no run has measured it.
    """
    validation = curves["split"] == "validation"
    names = curves["metric"].where(validation | (curves["metric"] != "loss"), "train_loss")
    wanted = curves["task"].map({task: metric["metric"] for task, metric in metrics.items()})
    if not (kept := names == wanted).any():
        known = sorted(set(names))
        asked = next(iter(metrics.values()))["metric"]
        raise StoreError(f"no run measured {asked!r}; there are {', '.join(known)}.{nearest(asked, known)}")
    return curves[kept]


def over_seeds(curves: pd.DataFrame, metrics: Mapping[str, Row]) -> pd.DataFrame:
    """Return the median of a metric over seeds at each step, with the band that `summarise` gives.

    A run that has ended keeps its last value. A value that is not finite is worse than every other, so that a
    run that diverged is so from there on.

    Columns: task, length, model, step; n, the number of seeds; median, low, high: the interval of the median,
    the range of three or four seeds; missing under three.

    Args:
        curves: the rows of one metric of each task, see `of_metrics`.
        metrics: that metric, see `shown_metrics`.
    """
    rows = []
    for cell, its in curves.groupby(CELL, sort=False):
        worst = -math.inf if metrics[str(its["task"].iloc[0])]["direction"] == "max" else math.inf
        values = its["value"].where(its["value"].abs() < math.inf, worst)
        seeds = its.assign(value=values).pivot(index="step", columns="seed", values="value").ffill()
        for step, at in zip(seeds.index, seeds.to_numpy().tolist(), strict=True):
            found = summarise([value for value in at if not math.isnan(value)])
            band = (found.least, found.largest) if math.isnan(found.low) else (found.low, found.high)
            rows.append((*cell, step, found.n, found.median, *band))
    return pd.DataFrame(rows, columns=[*CELL, "step", "n", "median", "low", "high"])


def _ended(run: PlacedRun) -> tuple[bool, str]:
    return run.result.status != "failed", run.result.finished_at


def _rows(text: str, metrics: Container[str]) -> Iterator[tuple[int, str, str, float]]:
    """Yield step, split, metric and value of what a `metrics.csv` holds."""
    for row in csv.DictReader(text.splitlines()):
        step = int(float(row.pop("step")))
        for name, value in row.items():
            if value and name in metrics:
                yield step, "validation", name, float(value)
            elif value:
                yield step, "train", name.removeprefix("train_"), float(value)
