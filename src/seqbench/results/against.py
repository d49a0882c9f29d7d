"""The figure of a test metric against a number of the runs: accuracy by the size of the state."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

import pandas as pd

from seqbench.errors import ConfigError, StoreError, listed, nearest
from seqbench.results.comparing.problems import setting
from seqbench.results.figures import (
    ACROSS,
    BASELINE,
    add_legend,
    bounds,
    is_loss,
    literal,
    nested,
    title_height,
    with_unit,
    wrapped,
)
from seqbench.results.frame import meaning, records, train_length
from seqbench.results.labels import label_runs, preset_of
from seqbench.results.styles import STYLE, model_style
from seqbench.runs.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a record has as a number, beside the keys of its configuration.
NUMBERS = ("state_size", "parameters", "steps", "wall_time_s", "sequences_per_s", "peak_memory_bytes")
#: A number that goes over more than such a factor has a logarithmic axis.
WIDE = 8


def against(
    results: Sequence[Result], number: str, warn: Callable[[str], object] = warnings.warn
) -> pd.DataFrame:
    """Return the headline test metric of each run at its training length, and a number of the run.

    Columns: task; length; model, its preset; label, with the settings that differ; seed; what the metric
    means, see `frame.meaning`; baseline, what the best predictor that ignores the input has; value; and the
    number, by its name. Runs that failed, diverged, or have no such test are left out. Of two runs of a label
    with the same seed, at one training length, the later counts.

    Args:
        results: the runs.
        number: one of `NUMBERS`, or a key of the configuration, `model.hidden_size`.
        warn: called with a sentence about the runs that have no such number.

    Raises:
        ConfigError: no run has such a number.
        StoreError: none that has it has a test at its training length.
    """
    rows = []
    without: list[str] = []
    latest: dict[tuple[str, str, int, int], Result] = {}
    of_run = zip(results, label_runs(results), strict=True)
    for result, of in sorted(of_run, key=lambda its: its[0].finished_at):
        if result.status != "failed":
            latest[*of, train_length(result) or 0, result.seed] = result
    for (task, label, length, _), result in latest.items():
        x = getattr(result, number) if number in NUMBERS else setting(result, number)
        if isinstance(x, bool) or not isinstance(x, int | float):
            without.append(f"{label} on {task}")
            continue
        value = result.value_at(length)
        if value is None or not math.isfinite(value):
            continue
        row = {"task": task, "length": length, "model": preset_of(label), "label": label, "seed": result.seed}
        row |= meaning(result.metric or "", result.headline)
        baseline = result.baseline_at(result.metric or "", str(length))
        row |= {"baseline": math.nan if baseline is None else baseline, "value": value, number: x}
        rows.append(row)
    if len(without) == len(latest):
        raise ConfigError(
            f"--x={number}: no run here has such a number.{nearest(number, NUMBERS)} There are "
            f"{', '.join(NUMBERS)}, and the keys of the configuration, such as model.hidden_size."
        )
    if not rows:
        raise StoreError(f"no run here that has {number} has a test at its training length.")
    if without:
        theirs = listed(sorted({*without}))
        warn(f"{len(without)} of {len(latest)} runs have no {number}, and are left out: {theirs}.")
    order = ["task", "length", "model", number, "label", "seed"]
    return pd.DataFrame(rows).sort_values(order, ignore_index=True)


def draw_against(points: pd.DataFrame, number: str) -> Figure:
    """Return the figure of `against`, a panel for each task and training length.

    Where the number is that length, all lengths of a task are in one panel.
    Every run is a dot. A marker is the median over the seeds of a configuration, of the metric and of the
    number, which seeds may differ in; the line joins those of a model in the order of the number, unless two
    of them have the same number. The dashed line is what the best predictor that ignores the input has.

    Args:
        points: of `against`.
        number: the same.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    models = sorted(points["model"].unique())
    lengths = (points[number] == points["length"]).all()
    panels_of = [*points.groupby(["task"] if lengths else ["task", "length"])]
    across = min(len(panels_of), ACROSS)
    down = math.ceil(len(panels_of) / across)
    with rc_context(STYLE):
        width = max(4.2 * across, 5.6) + 0.4
        figure = Figure(figsize=(width, 3.6 * down + 0.4), layout="constrained")
        panels = [*figure.subplots(down, across, squeeze=False).flat]
        for panel in panels[len(panels_of) :]:
            panel.remove()
        titles = [
            wrapped(" at ".join(str(part) for part in of if part), 0.8 * width / across)
            for of, _ in panels_of
        ]
        figure.set_figheight(figure.get_figheight() + down * title_height(titles))
        for panel, title, (_, its) in zip(panels, titles, panels_of, strict=False):
            first = records(its)[0]
            for model, mine in its.groupby("model"):
                style = model_style(str(model), models)
                panel.plot(
                    mine[number], mine["value"], ".", color=style["color"], alpha=0.5, markeredgewidth=0
                )
                middles = sorted(
                    (median(of[number]), median(of["value"])) for _, of in mine.groupby(["label", "length"])
                )
                joined = {} if len({x for x, _ in middles}) == len(middles) else {"linestyle": "none"}
                panel.plot(*zip(*middles, strict=True), **style | nested(str(model), models) | joined)
            if (known := its["baseline"].dropna().unique()).size == 1:
                panel.axhline(known[0], **BASELINE)
            if its[number].min() > 0 and its[number].max() > WIDE * its[number].min():
                panel.set_xscale("log")
            if is_loss(first) and its["value"].min() > 0:
                panel.set_yscale("log")
            else:
                bounds(panel, first["unit"], first["metric_low"], first["metric_high"])
            panel.set(title=title, xlabel=literal(number), ylabel=f"test {literal(with_unit(first))}")
        add_legend(figure, models, models, bool(points["baseline"].notna().any()))
    return figure
