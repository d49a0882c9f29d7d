"""The figure of spans: the curve of each entrant through its solve rates, and every run a dot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqbench.results.figures import legend_above, literal
from seqbench.results.labels import preset_of
from seqbench.results.spans.measured import Measured
from seqbench.results.statistics.span import solve_probability
from seqbench.results.styles import STYLE, model_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: How far from 0 and from 1 dots of runs lie, and how much room they take.
NEAR, ROOM = 0.05, 0.3
#: Points of a curve.
POINTS = 200
#: The most entrants of a panel.
CROWDED = 8


def draw_spans(measured: Sequence[Measured]) -> Figure:
    """Return the figure: a panel a task, the share of solved runs against the span, on a logarithmic axis.

    Each run is a dot above 1 if it solved the task and below 0 if not, at its true span; a row of dots for
    each entrant, spread within the row by the order of the seeds. The bar at one half is the interval of the
    span at 50 %. Where more than eight entrants would share a panel, the variants of a model are in panels
    below one another: the first of each model in the first, the second in the second.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(each.protocol.task for each in measured))
    names = {each.label: style_name(each) for each in measured}
    variant = _variants(names) if len(names) > CROWDED else dict.fromkeys(names, 0)
    down = 1 + max(variant.values(), default=0)
    with rc_context(STYLE):
        figure = Figure(figsize=(max(4.2 * len(tasks), 5.6) + 0.4, 5.2 * down), layout="constrained")
        panels = figure.subplots(down, len(tasks), squeeze=False)
        handles: dict[str, Line2D] = {}
        for row, column in np.ndindex(panels.shape):
            panel: Any = panels[row, column]
            of_task = [each for each in measured if each.protocol.task == tasks[column]]
            shown = [each for each in of_task if variant[each.label] == row]
            for index, each in enumerate(shown):
                style = model_style(names[each.label], names.values())
                if (line := _curve(panel, each, style)) is not None:
                    line.set_label(literal(each.label))
                    handles.setdefault(each.label, line)
                _dots(panel, each, style["color"], index, len(shown))
            span_axis(panel, of_task)
            _rate_axis(panel)
            panel.set_title(literal(tasks[column]) if row == 0 else "")
            panel.set_ylabel("runs solved" if column == 0 else "")
        legend_above(figure, [handles[label] for label in names if label in handles])
    return figure


def _variants(names: Mapping[str, str]) -> dict[str, int]:
    """Return which variant of its model each entrant is, from 0, by the labels and names of all."""
    models = [preset_of(name) for name in names.values()]
    return {label: models[:place].count(models[place]) for place, label in enumerate(names)}


def style_name(each: Measured) -> str:
    """Return what decides how an entrant looks: its label, after the model that it is a variant of.

    An entrant is named by whoever made it, `tuned`, and its model is in the name of the folder of its runs.
    """
    model = each.spans[0].folder.rpartition("/")[2].rpartition("-")[0] if each.spans else each.label
    return each.label if preset_of(each.label) == model else f"{model} ({each.label})"


def _curve(panel: Axes, each: Measured, style: dict[str, Any]) -> Any:
    """Draw the fitted curve, the solve rates with their intervals, and the interval of the 50 % point."""
    if each.fit is None:
        return None
    colour, fit = style["color"], each.fit
    spans = np.geomspace(fit.least, fit.most, POINTS)
    panel.plot(
        spans, [solve_probability(span, fit) for span in spans], color=colour, linestyle=style["linestyle"]
    )
    for at in each.spans:
        panel.vlines(at.span, *at.interval, color=colour, linewidth=0.8, alpha=0.4)
    rates = [at.solved / at.n for at in each.spans]
    panel.plot([at.span for at in each.spans], rates, **style | {"linestyle": "none"})
    if fit.low < math.inf and fit.high > 0:
        low, high = max(fit.low, fit.least), min(fit.high, fit.most)
        panel.hlines(0.5, low, high, color=colour, linewidth=3.0, alpha=0.6)
    (entry,) = panel.plot([], [], **style)
    return entry


def _dots(panel: Axes, each: Measured, colour: str, index: int, entrants: int) -> None:
    """Draw the runs of the entrant of this index, of so many, in its row."""
    row = ROOM / entrants
    for at in each.spans:
        for k, step in enumerate(at.solved_at):
            depth = NEAR + row * (index + (k + 0.5) / at.n)
            y = 1 + depth if step is not None else -depth
            panel.plot(at.span, y, ".", color=colour, markersize=2.2, alpha=0.8)


def span_axis(panel: Axes, of_task: Sequence[Measured]) -> None:
    """Set up the horizontal axis over the spans that were tried on a task: by doublings, or those tried."""
    from matplotlib.ticker import NullLocator

    protocol = of_task[0].protocol
    low, high = ends(of_task)
    panel.set_xscale("log", base=2)
    panel.set_xlim(low / 1.15, high * 1.15)
    if protocol.by_staircase:
        marked = [protocol.least * 2**k for k in range(64) if protocol.least * 2**k <= high]
    else:
        marked = sorted({at.span for each in of_task for at in each.spans})
    ticks = [high]
    for tick in reversed(marked):  # as many as do not overlap
        if tick < ticks[0] / 1.3:
            ticks.insert(0, tick)
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(f"span ({protocol.key})")


def ends(of_task: Sequence[Measured]) -> tuple[int, int]:
    """Return the least and the largest span tried on a task, or those that could be."""
    tried = sorted({at.span for each in of_task for at in each.spans})
    protocol = of_task[0].protocol
    return (tried[0], tried[-1]) if tried else (protocol.least, protocol.most)


def _rate_axis(panel: Axes) -> None:
    panel.set_ylim(-NEAR - ROOM - 0.02, 1 + NEAR + ROOM + 0.02)
    panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
    panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
