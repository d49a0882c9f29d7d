"""Figures of training: learning curves, and how many runs have solved their task after how many steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqbench.results.figures import (
    ACROSS,
    MOST_DECADES,
    add_legend,
    bounds,
    enlarged,
    is_loss,
    literal,
    nested,
    title_height,
    with_unit,
    wrapped,
)
from seqbench.results.frame import records
from seqbench.results.statistics.metrics import LEAST_SEEDS
from seqbench.results.statistics.survival import kaplan_meier
from seqbench.results.styles import COLUMN, PAPER, STYLE, model_style
from seqbench.results.summaries import Row

#: What is as large, of a run that diverges, is drawn no more than what is infinite.
LARGEST = 10.0**MOST_DECADES
#: From here on steps are told in thousands, as the labels of an axis would run into each other.
MANY_STEPS = 50_000

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_curves(
    curves: pd.DataFrame,
    medians: pd.DataFrame,
    metrics: Mapping[str, Row],
    paper: bool = False,
    among: Sequence[str] = (),
) -> Figure:
    """Return the figure of learning curves, a panel for each task and training length.

    Every seed is a thin line that ends where its run did. The thick line is the median over seeds, with its
    band, of three seeds or more; see `curves.over_seeds`.

    Args:
        curves: the rows of one metric of each task, see `curves.of_metrics`.
        medians: its `curves.over_seeds`.
        metrics: that metric, see `curves.shown_metrics`.
        paper: whether it is as wide as a column of a paper.
        among: models of other figures, beside which those of this one have the look that they have there.
    """
    present = sorted(curves["model"].unique())
    models = sorted({*present, *among})
    with _figure(curves, paper) as (figure, panels):
        for task, length, panel in panels:
            its, middle = (
                frame[(frame["task"] == task) & (frame["length"] == length)] for frame in (curves, medians)
            )
            for (model, _), of_seed in its.groupby(["model", "seed"]):
                x, y, colour = of_seed["step"], _finite(of_seed["value"]), model_style(str(model))["color"]
                alone = "." if len(x) == 1 else ""
                panel.plot(x, y, color=colour, marker=alone, linewidth=0.6, alpha=0.45)
            for model, rows in middle[middle["n"] >= LEAST_SEEDS].groupby("model"):
                style = model_style(str(model), models) | nested(str(model), models)
                band = _finite(rows["low"]), _finite(rows["high"])
                panel.fill_between(rows["step"], *band, color=style["color"], alpha=0.08, linewidth=0)
                panel.plot(rows["step"], _finite(rows["median"]), markevery=max(1, len(rows) // 6), **style)
            metric, shown = metrics[task], its["value"][its["value"].abs() < LARGEST]
            if is_loss(metric) and not shown.empty and (shown > 0).all():
                panel.set_yscale("log")
            else:
                bounds(panel, metric["unit"], metric["metric_low"], metric["metric_high"])
            panel.set_ylabel(literal(with_unit(metric)))
        add_legend(figure, present, models)
    return figure


def solved_shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the share of runs that have solved their task after a number of steps, by Kaplan and Meier.

    Columns: task, length, model; step, at which a run solved it; share, with the bounds of its pointwise 95 %
    log-log interval, low and high, missing where the share is 1; runs, the number of all.

    Args:
        frame: of a comparison with the columns of `StepsToSolve`.
    """
    rows = []
    for row in counted_rows(frame):
        solved, censored = row["solved_at"], row["censored_at"]
        found = kaplan_meier([*solved, *(None for _ in censored)], [*solved, *censored])
        cell = (row["task"], row["length"], row["model"])
        for step, *shares in zip(found.steps, found.share, found.high, found.low, strict=True):
            rows.append((*cell, int(step), *(float(1 - share) for share in shares), row["seeds"]))
    return pd.DataFrame(rows, columns=["task", "length", "model", "step", "share", "low", "high", "runs"])


def draw_steps(frame: pd.DataFrame, paper: bool = False, among: Sequence[str] = ()) -> Figure:
    """Return the figure of `solved_shares`, a panel for each task and training length.

    A marker is a run that solved the task, a cross one that did not, at its budget of steps.

    Args:
        frame: as for `solved_shares`.
        paper: whether it is as wide as a column of a paper.
        among: as for `draw_curves`.
    """
    rows, shares = counted_rows(frame), solved_shares(frame)
    present = sorted({row["model"] for row in rows})
    models = sorted({*present, *among})
    with _figure(pd.DataFrame(rows), paper) as (figure, panels):
        for task, length, panel in panels:
            for row in (row for row in rows if (row["task"], row["length"]) == (task, length)):
                style = model_style(row["model"], models) | nested(row["model"], models)
                cell = (
                    (shares["task"] == task)
                    & (shares["length"] == length)
                    & (shares["model"] == row["model"])
                )
                steps, share = [0, *shares[cell]["step"]], [0.0, *shares[cell]["share"]]
                end = max([*row["solved_at"], *row["censored_at"]])
                panel.step([*steps, end], [*share, share[-1]], where="post", **style | {"marker": "none"})
                panel.plot(steps[1:], share[1:], **style | {"linestyle": "none"})
                at = [share[sum(step <= last for step in steps) - 1] for last in row["censored_at"]]
                panel.plot(row["censored_at"], at, "x", color=style["color"], markersize=6 * enlarged())
            bounds(panel, "share", 0, 1)
            panel.set_ylabel("runs solved")
        add_legend(figure, present, models)
    return figure


def _finite(values: pd.Series[float]) -> NDArray[np.float64]:
    """Return numbers with nan, which is not drawn, in the place of those that are infinite or too large."""
    return np.asarray(values.where(values.abs() < LARGEST), dtype=float)


def counted_rows(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of cells at their training length whose runs count as solved or not."""
    return [row for row in records(frame) if row["seeds"] and isinstance(row["solved_at"], list)]


@contextmanager
def _figure(frame: pd.DataFrame, paper: bool) -> Iterator[tuple[Figure, list[tuple[str, int, Axes]]]]:
    """Give a figure and its panels, one for each task and length of a frame, in the style of all figures."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    cells = sorted(set(zip(frame["task"], frame["length"], strict=True)))
    across = min(len(cells), 2 if paper else ACROSS)
    down = math.ceil(len(cells) / across)
    size = (COLUMN, 1.7 * down + 0.5) if paper else (max(3.1 * across, 4.6) + 0.4, 2.7 * down + 0.5)
    with rc_context(PAPER if paper else STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = [*figure.subplots(down, across, squeeze=False).flat]
        for panel in panels[len(cells) :]:
            panel.remove()
        named = [f"{'length' if paper else f'{task} at'} {n}" if n else task for task, n in cells]
        titles = [wrapped(name, 0.8 * size[0] / across) for name in named]  # bold letters are wider
        figure.set_figheight(size[1] + down * title_height(titles))
        for title, panel in zip(titles, panels, strict=False):
            panel.set_title(title)
            panel.set_xlabel("optimisation steps")
        yield figure, [(*cell, panel) for cell, panel in zip(cells, panels, strict=False)]
        for panel in panels[: len(cells)]:
            if panel.get_xlim()[1] >= MANY_STEPS:
                panel.xaxis.set_major_formatter(EngFormatter(sep=""))
