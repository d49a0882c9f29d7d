"""The figure of a comparison: solve rate and test metric of each model against the length, for each task."""

from __future__ import annotations

import math
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from seqbench.errors import printable, say_once
from seqbench.results.frame import records
from seqbench.results.styles import COLUMN, PAPER, STYLE, model_style
from seqbench.results.summaries import Row
from seqbench.runs.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: The most tasks beside one another.
ACROSS = 4
#: Over so many lengths their numbers are turned.
MANY_LENGTHS = 7
#: Values beyond 10 to this power are outside of every panel.
MOST_DECADES = 100
#: What Matplotlib warns of a character that its font lacks.
GLYPH = r"^Glyph (\d+) "
#: How wide a letter of 9 points is, and how high a line of a legend, in inches.
LETTER, LINE = 0.07, 0.2
#: The line of a baseline, as keywords of `Axes.plot`.
BASELINE: Any = {"color": "#888888", "linestyle": "--", "linewidth": 1.2, "label": "baseline", "zorder": 1}


def literal(text: str) -> str:
    """Return a text that is no formula to Matplotlib, for what comes from a file or a configuration."""
    return printable(text).replace("$", r"\$")


def wrapped(text: str, inches: float) -> str:
    """Return a text that is no formula, in lines that take about so many inches, in the style of now."""
    letters = max(10, int(inches / (LETTER * enlarged("font.size"))))
    return "\n".join(map(literal, textwrap.wrap(printable(text), letters)))


def title_height(titles: Sequence[str]) -> float:
    """Return by how much a row of panels is higher, in inches, for titles of more than two lines."""
    return LINE * enlarged("font.size") * max(0, *(title.count("\n") - 1 for title in titles))


def draw(frame: pd.DataFrame, paper: bool = False, among: Sequence[str] = ()) -> Figure:
    """Return the figure of a comparison's frame (see `frame.compare`), two panels for each task.

    The upper panel shows the proportion of solved runs against the training length, with 95 % Wilson
    intervals. The lower panel shows the test metric: every seed a dot, their median, and its interval where
    there is one. Its axis is the test length if all runs of the task were trained at one length, so that
    greater lengths show extrapolation; otherwise it is the training length. A panel with a single length has
    the models side by side instead. The dashed line is what the best predictor that ignores the input has.

    Args:
        frame: with the columns of the summaries `MetricMedian` and `SolveRate`.
        paper: whether it is as wide as a column of a paper, in which tasks go below one another.
        among: models of other figures, beside which those of this one have the look that they have there.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    present = sorted(frame["model"].unique())
    models = sorted({*present, *among})
    tasks = list(frame["task"].unique())
    across = 1 if paper else min(len(tasks), ACROSS)
    down = math.ceil(len(tasks) / across)
    size = (COLUMN, 3.9 * down) if paper else (max(3.1 * across, 4.6) + 0.4, 5.2 * down)
    with rc_context(PAPER if paper else STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(2 * down, across, squeeze=False)
        titles = [wrapped(task, 0.8 * size[0] / across) for task in tasks]  # bold letters are wider
        figure.set_figheight(size[1] + down * title_height(titles))
        for place in range(across * down):
            upper, lower = (panels[2 * (place // across) + k, place % across] for k in (0, 1))
            if place >= len(tasks):
                upper.remove()
                lower.remove()
                continue
            rows = records(frame[frame["task"] == tasks[place]])
            trained = [row for row in rows if row["length"] == row["train_length"]]
            one_length = len({row["train_length"] for row in rows}) == 1
            upper.set_title(titles[place])
            upper.set_ylabel("runs solved" if place % across == 0 else "")
            _solve_rates(upper, trained, models)
            _metrics(lower, rows if one_length else trained, models)
        lines = (line for panel in figure.axes for line in panel.get_lines())
        add_legend(figure, present, models, any(line.get_label() == "baseline" for line in lines))
    return figure


def add_legend(figure: Figure, shown: Sequence[str], models: Sequence[str], baseline: bool = False) -> None:
    """Put a legend above the panels of a figure; where it takes more than a quarter of it, the figure grows.

    Args:
        figure: the figure.
        shown: the models in it.
        models: those among which they have one look.
        baseline: whether the baseline is in it.
    """
    from matplotlib.lines import Line2D

    width, line = figure.get_figwidth(), 0.5 * enlarged("font.size")
    labels = [wrapped(model, 0.95 * width - 1.6 * line) for model in shown]
    handles = [
        Line2D([], [], label=label, **model_style(model, models))
        for label, model in zip(labels, shown, strict=True)
    ]
    legend_above(figure, [*handles, *([Line2D([], [], **BASELINE)] if baseline else [])])


def legend_above(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Put a legend of these above the panels, in as many columns as there is room for.

    Where it takes more than a quarter of the figure, the figure grows.
    """
    scale, (width, height) = enlarged("font.size"), figure.get_size_inches()
    texts = [str(handle.get_label()).split("\n") for handle in handles]
    letters = max((len(text) for lines in texts for text in lines), default=0)
    entry = 0.5 * scale + LETTER * scale * letters  # a line with its spaces, and the text, in inches
    columns = max(1, min(len(handles), int(width / entry)))
    lines = math.ceil(sum(map(len, texts)) / columns)
    figure.set_figheight(height + max(0.0, LINE * scale * lines - height / 4))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Save a figure as `<stem>.svg` and `<stem>.png`; return the two paths.

    Raises:
        StoreError: a file cannot be written.
    """
    return [save_as(figure, stem.with_name(f"{stem.name}.{suffix}")) for suffix in ("svg", "png")]


def save_as(figure: Figure, path: Path, dpi: int = 200) -> Path:
    """Save a figure in the format that the suffix of its path names; return the path.

    Raises:
        StoreError: the file cannot be written; what was there stays.
    """
    from matplotlib import rc_context

    dated = {".svg": "Date", ".pdf": "CreationDate"}  # left out, so that the same figure is the same file
    metadata = {dated[path.suffix]: None} if path.suffix in dated else None
    content = BytesIO()
    with rc_context(STYLE), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        figure.savefig(content, format=path.suffix[1:], dpi=dpi, metadata=metadata)
    for each in warned:
        if lacking := re.match(GLYPH, str(each.message)):
            say_once(f"the font of the figures lacks {chr(int(lacking[1]))}, which is drawn as a box.")
        else:
            warnings.warn(each.message, stacklevel=2)
    write_atomically(path, content.getvalue())
    return path


def _solve_rates(panel: Axes, rows: Sequence[Row], models: Sequence[str]) -> None:
    lengths = _lengths(rows)
    rows = [row for row in rows if not pd.isna(row["solve_rate"])]
    bounds(panel, "share", 0, 1)
    panel.set_xlabel("training length")
    x_of = _length_axis(panel, lengths, rows, models)
    for model in models:
        mine = [row for row in rows if row["model"] == model]
        _summaries(panel, model, models, [x_of(row) for row in mine], [row["solve_rate"] for row in mine])
        for row in mine:
            _interval(panel, x_of(row), row["solve_low"], row["solve_high"], model)


def _metrics(panel: Axes, rows: Sequence[Row], models: Sequence[str]) -> None:
    """Draw the test metric. A loss has a logarithmic axis."""
    first = rows[0]
    panel.set_ylabel(f"test {literal(with_unit(first))}" if first["metric"] else "")
    beyond = any(row["length"] != row["train_length"] for row in rows)
    panel.set_xlabel(
        f"test length, trained at {first['train_length']}" if beyond else "training and test length"
    )
    baseline = {row["length"]: row["baseline"] for row in rows}
    lengths = _lengths(rows)
    rows = [row for row in rows if row["n"]]
    x_of = _length_axis(panel, lengths, rows, models)
    for model in models:
        mine = [row for row in rows if row["model"] == model]
        middles = [median(row["values"]) for row in mine]
        _summaries(panel, model, models, [x_of(row) for row in mine], middles)
        for row in mine:
            _interval(panel, x_of(row), row["low"], row["high"], model)
            colour = model_style(model)["color"]
            x = [x_of(row)] * len(row["values"])
            panel.plot(
                x, row["values"], ".", color=colour, markersize=6 * enlarged(), alpha=0.5, markeredgewidth=0
            )
    shown = [value for row in rows for value in row["values"]]
    known = sorted((length, level) for length, level in baseline.items() if not pd.isna(level))
    if len({level for _, level in known}) == 1:
        panel.axhline(known[0][1], **BASELINE)
    elif known:
        panel.plot(*zip(*known, strict=True), **BASELINE)
    if is_loss(first) and shown and min(shown) > 0:
        shown += [level for _, level in known if level > 0]
        panel.set_yscale("log")
        # Whole decades around what is shown; Matplotlib cannot have ticks at the ends of the range of floats.
        ends = math.log10(min(shown)) - math.log10(1.2), math.log10(max(shown)) + math.log10(1.2)
        low, high = (min(max(end, -MOST_DECADES), MOST_DECADES) for end in ends)
        panel.set_ylim(10.0 ** (math.floor(low) - (low == high)), 10.0 ** math.ceil(high))
    else:
        bounds(panel, first["unit"], first["metric_low"], first["metric_high"])


def with_unit(metric: Row) -> str:
    """Return the name of a metric and its unit: `loss (squared error)`. A share is shown in per cent."""
    unit = metric["unit"]
    return f"{metric['metric']} ({unit})" if unit not in ("", "share") else str(metric["metric"])


def is_loss(metric: Row) -> bool:
    """Return whether a metric has a logarithmic axis: less is better, down to 0, and there is no largest."""
    bounds = metric["metric_low"], metric["metric_high"]
    return bool(metric["direction"] == "min" and bounds[0] == 0 and math.isnan(bounds[1]))


def bounds(panel: Axes, unit: str, low: float, high: float) -> None:
    """Show a share in per cent, and a bounded quantity over its range."""
    if math.isfinite(low) and math.isfinite(high):
        margin = 0.04 * (high - low)
        panel.set(ylim=(low - margin, high + margin), yticks=[low + k * (high - low) / 4 for k in range(5)])
    if unit == "share":
        panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")


def _lengths(rows: Sequence[Row]) -> list[int]:
    """Return the lengths that a panel is about: one at which all runs failed has its baseline too."""
    return sorted({row["length"] for row in rows if row["length"]})


def _length_axis(
    panel: Axes, lengths: Sequence[int], rows: Sequence[Row], models: Sequence[str]
) -> Callable[[Row], float]:
    """Set up the axis of lengths, or of models where there is one length; return where a row lies on it."""
    if len(lengths) > 1:
        panel.set_xlabel(f"{panel.get_xlabel()} (steps)")
        panel.set_xscale("log", base=2)
        turned = 45 if len(lengths) > MANY_LENGTHS else 0
        panel.set_xticks(lengths, [str(length) for length in lengths], rotation=turned)
        panel.set_xlim(min(lengths) / 1.15, max(lengths) * 1.15)
        panel.minorticks_off()
        return lambda row: float(row["length"])
    present = [model for model in models if any(row["model"] == model for row in rows)]
    labels = [wrapped(model, 1.6 * enlarged("font.size")) for model in present]
    panel.set_xticks(range(len(present)), labels, rotation=40, ha="right", size=7 * enlarged("font.size"))
    panel.set_xlim(-0.6, max(len(present), 1) - 0.4)
    panel.grid(visible=False, axis="x")
    panel.set_xlabel(f"{panel.get_xlabel()} {lengths[0]}" if lengths and present else "")
    return lambda row: float(present.index(row["model"]))


def nested(model: str, models: Sequence[str]) -> dict[str, float]:
    """Return the size of a model's line: of curves that coincide each is seen around the next."""
    wide = 1.0 - models.index(model) / len(models)
    return {"linewidth": (1.0 + 2.2 * wide) * enlarged(), "markersize": (3.5 + 4.5 * wide) * enlarged()}


def enlarged(what: Literal["lines.linewidth", "font.size"] = "lines.linewidth") -> float:
    """Return how large lines or letters are beside those of `STYLE`, in the style that is drawn in now."""
    from matplotlib import rcParams

    return float(rcParams[what] / STYLE[what])


def _summaries(
    panel: Axes, model: str, models: Sequence[str], x: Sequence[float], y: Sequence[float]
) -> None:
    """Draw the summaries of a model, joined by its line where there are several."""
    style = {"label": literal(model)} | model_style(model, models)
    if len(set(x)) > 1:
        panel.plot(x, y, **style | nested(model, models))
    elif x:
        panel.plot(x, y, **style | {"linestyle": "none"})


def _interval(panel: Axes, x: float, low: float, high: float, model: str) -> None:
    if not math.isnan(low):
        panel.vlines(x, low, high, color=model_style(model)["color"], linewidth=1.0, alpha=0.6)
