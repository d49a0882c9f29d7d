"""The panels of learning curves: every seed a thin line, their median a thick one with its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seqbench.errors import printable
from seqbench.results.curves import CELL, over_seeds
from seqbench.results.html.traces import Panel, Trace, metric_axis, numbers, plain, points, value_format
from seqbench.results.statistics.metrics import LEAST_SEEDS
from seqbench.results.summaries import Row

#: The most evaluations of a curve that are drawn, of few runs and of many; how many points all may have.
MOST, FEWEST, ALL_POINTS = 200, 20, 60_000
#: The most runs of a panel that have a line each; of more those alone whose model has no median.
MOST_LINES = 300


def learning_panels(curves: pd.DataFrame, metrics: Mapping[str, Row], models: Sequence[str]) -> list[Panel]:
    """Return a panel for each task and training length.

    Args:
        curves: of one metric of each task, see `curves.of_metrics`.
        metrics: which metric that is, see `curves.shown_metrics`.
        models: those of the whole page.
    """
    shown = _thinned(curves)
    # Of all evaluations: one that is not drawn of one seed is what another one has at that step.
    every = over_seeds(curves, metrics).set_index([*CELL, "step"])
    at = pd.MultiIndex.from_frame(shown[[*CELL, "step"]]).unique()
    middle = every[every.index.isin(at)].reset_index()
    panels = []
    for (task, length), its in shown.groupby(["task", "length"], sort=True):
        here = middle[(middle["task"] == task) & (middle["length"] == length)]
        metric = metrics[str(task)]
        data: list[Trace] = []
        medians = here[here["n"] >= LEAST_SEEDS]
        crowded = its.groupby(["model", "seed"]).ngroups > MOST_LINES
        lines = its[~its["model"].isin(medians["model"])] if crowded else its
        for (model, seed), of_seed in lines.groupby(["model", "seed"]):
            data.append(_seed(str(model), str(seed), of_seed, models, metric))
        for model, rows in medians.groupby("model"):
            data += _median(str(model), rows, models, metric)
        values = [value for value in its["value"] if np.isfinite(value)]
        layout = {
            "xaxis": {"title": {"text": "optimisation steps"}, "rangemode": "tozero"},
            "yaxis": metric_axis(metric, values, "validation"),
        }
        title = printable(f"{task} at {length}" if length else str(task))
        label = f"Validation {metric['metric']} on {title} against optimisation steps, by model and seed."
        panels.append(Panel(printable(str(task)), title, label, data, layout))
    return panels


def _thinned(curves: pd.DataFrame) -> pd.DataFrame:
    """Return curves with no more points than can be seen: the last of each run, and others evenly."""
    runs = curves.groupby([*CELL, "seed"]).ngroups
    most = min(MOST, max(FEWEST, ALL_POINTS // runs))
    kept = []
    for _, its in curves.groupby(CELL, sort=False):
        steps = np.unique(its["step"].to_numpy())
        if len(steps) > most:
            even = steps[np.linspace(0, len(steps) - 1, most).round().astype(int)]
            last = its.groupby("seed")["step"].transform("max")
            its = its[its["step"].isin(even) | (its["step"] == last)]
        kept.append(its)
    return pd.concat(kept)


def _seed(model: str, seed: str, rows: pd.DataFrame, models: Sequence[str], metric: Row) -> Trace:
    trace = points(model, models, _steps(rows), numbers(rows["value"]), joined=False)
    value = f"{plain(metric['metric'])} %{{y:{value_format(metric)}}}"
    del trace["marker"]
    return trace | {
        "mode": "lines" if len(rows) > 1 else "markers",
        "marker": {"color": trace["line"]["color"], "size": 4},
        "line": {"color": trace["line"]["color"], "width": 0.8},
        "opacity": 0.4,
        "hovertemplate": f"<b>%{{fullData.name}}</b><br>seed {seed}, step %{{x:,}}<br>{value}<extra></extra>",
    }


def _steps(rows: pd.DataFrame) -> list[int]:
    """Return steps to the last digit: one is pointed at, and looked up in `metrics.csv`."""
    return [int(step) for step in rows["step"]]


def _median(model: str, rows: pd.DataFrame, models: Sequence[str], metric: Row) -> list[Trace]:
    """Return the median over seeds and its band."""
    steps, low, high = _steps(rows), numbers(rows["low"]), numbers(rows["high"])
    known = [(s, a, b) for s, a, b in zip(steps, low, high, strict=True) if a is not None and b is not None]
    line = points(model, models, steps, numbers(rows["median"]), joined=True)
    form = value_format(metric)
    band = {
        "type": "scatter",
        "mode": "lines",
        "meta": line["meta"],
        "x": [s for s, _, _ in known] + [s for s, _, _ in reversed(known)],
        "y": [b for _, _, b in known] + [a for _, a, _ in reversed(known)],
        "fill": "toself",
        "fillcolor": line["line"]["color"],
        "opacity": 0.12,
        "line": {"color": line["line"]["color"], "width": 0},
        "hoverinfo": "skip",
    }
    line["marker"] = line["marker"] | {"size": 6, "maxdisplayed": 8}
    line["line"] = line["line"] | {"width": 2.2}
    line["customdata"] = [[int(n), a, b] for n, a, b in zip(rows["n"], low, high, strict=True)]
    line["hovertemplate"] = (
        "<b>%{fullData.name}</b><br>median of %{customdata[0]} seeds, step %{x:,}<br>"
        f"{plain(metric['metric'])} %{{y:{form}}} [%{{customdata[1]:{form}}}–%{{customdata[2]:{form}}}]"
        "<extra></extra>"
    )
    return [band, line]
