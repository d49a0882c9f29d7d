"""The forest plot of spans: for each entrant the span at 50 % with its interval, a panel a task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seqbench.results.figures import literal
from seqbench.results.spans.figure import ends, span_axis, style_name
from seqbench.results.spans.measured import Measured
from seqbench.results.styles import STYLE, model_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The height of a row, of what is around the rows, and the width of a panel and of its labels, in inches.
ROW, AROUND, PANEL, LABELS = 0.24, 0.8, 3.2, 2.0


def draw_forest(measured: Sequence[Measured]) -> Figure:
    """Return the figure: a panel a task, a row an entrant, spans on a logarithmic axis.

    The marker is the span at which half of the runs solve the task, the line its 95 % interval. An arrow says
    that an end lies outside of the spans tried; where the marker is an arrow, the span itself does. A dotted
    line over all spans is of rates that do not place it. Without a complete span a row is empty.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(each.protocol.task for each in measured))
    names = {each.label: style_name(each) for each in measured}
    labels = list(names)
    with rc_context(STYLE):
        size = (LABELS + PANEL * len(tasks), AROUND + ROW * len(labels))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
        for panel, task in zip(panels, tasks, strict=True):
            of_task = [each for each in measured if each.protocol.task == task]
            for each in of_task:
                style = model_style(names[each.label], names.values())
                _row(panel, each, labels.index(each.label), ends(of_task), style)
            span_axis(panel, of_task)
            panel.set_title(literal(task))
        panels[0].set_yticks(range(len(labels)), [literal(label) for label in labels])
        panels[0].set_ylim(len(labels) - 0.4, -0.6)
    return figure


def _row(panel: Axes, each: Measured, y: int, tried: tuple[int, int], style: dict[str, Any]) -> None:
    """Draw the interval and the estimate of an entrant in its row."""
    if (fit := each.fit) is None:
        return
    colour = style["color"]
    if fit.low == 0 and math.isinf(fit.high):
        panel.hlines(y, *tried, color=colour, linestyle=":", linewidth=1.2)
        return
    low, high = max(fit.low, fit.least), min(fit.high, fit.most)
    panel.hlines(y, min(low, fit.most), max(high, fit.least), color=colour, linewidth=1.6)
    arrow = {"color": colour, "linestyle": "none", "markersize": 6, "markeredgewidth": 0}
    if fit.low < fit.least:
        panel.plot(fit.least, y, marker="<", **arrow)
    if fit.high > fit.most:
        panel.plot(fit.most, y, marker=">", **arrow)
    if fit.least <= fit.estimate <= fit.most:
        panel.plot(fit.estimate, y, **style | {"linestyle": "none"}, label=literal(each.label))
