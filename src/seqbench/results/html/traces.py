"""Panels of figures: traces and axes of Plotly as plain values of JSON, and what they share."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from seqbench.errors import printable
from seqbench.results import styles
from seqbench.results.figures import is_loss, with_unit
from seqbench.results.numbers import number as written
from seqbench.results.summaries import Row

#: A trace or an axis of Plotly.
Trace = dict[str, Any]
#: A marker and a line of `results.styles`, as Plotly calls it.
SYMBOLS = dict(
    zip(
        styles.MARKERS,
        (
            *("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x"),
            *("triangle-left", "triangle-right", "star", "hexagon"),
        ),
        strict=True,
    )
)
DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
#: The halves that are filled of markers: where the colour of a marker fades.
FADES = {"left": "horizontal", "bottom": "vertical"}
#: A colour that is not seen.
CLEAR = "rgba(255,255,255,0)"
#: The colours of `results.styles` on a dark page.
DARK = {
    styles.BLACK: "#F0F0EC",
    styles.BLUE: "#5AAAE0",
    styles.VERMILION: "#FF8A4C",
    styles.GREEN: "#3CC79A",
    styles.PURPLE: "#E3A3C6",
    styles.ORANGE: "#F2B93B",
    styles.SKY: "#8ACBF2",
}
#: The longest line of a label beside its row, in letters.
LONGEST = 26
#: The height of a row of a model by the lines of its label, and of what is about the rows, in pixels.
LINE, BETWEEN, ABOUT = 14, 12, 90
#: The colour of a baseline, on any page.
GREY = "#8A8A86"


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        task: the label of the task that it is about.
        title: what stands above it.
        label: what it shows, in a sentence, for readers who do not see it.
        data: its traces. `meta` is the model of one, by which it can be hidden.
        layout: its axes.
        height: in pixels.
    """

    task: str
    title: str
    label: str
    data: list[Trace]
    layout: Trace
    height: int = 290


def plain(text: str) -> str:
    """Return a text in which Plotly finds no element and no placeholder, for what comes from a file."""
    escaped = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "%&#123;")


def number(value: Any) -> float | None:
    """Return a number in five digits, and None for what is missing or infinite."""
    if pd.isna(value) or math.isinf(value):
        return None
    rounded = float(f"{float(value):.5g}")
    if math.isinf(rounded):  # of the largest of all numbers
        return float(value)
    return int(rounded) if rounded.is_integer() else rounded


def numbers(values: Iterable[Any]) -> list[float | None]:
    """Return each as `number` does."""
    return [number(value) for value in values]


def points(model: str, models: Sequence[str], x: Sequence[Any], y: Sequence[Any], joined: bool) -> Trace:
    """Return the summaries of a model: its marker and colour, joined by its line where they are a curve.

    Args:
        model: its label.
        models: those of the whole page, among which it has one look.
        x, y: the points.
        joined: whether they are a curve.
    """
    look = styles.model_style(printable(model), models)
    filling, colour = look["fillstyle"], look["color"]
    fade = {"gradient": {"type": FADES[filling], "color": CLEAR}} if filling in FADES else {}
    return {
        "type": "scatter",
        "mode": "lines+markers" if joined else "markers",
        "name": plain(model),
        "meta": printable(model),
        "x": [*x],
        "y": [*y],
        "line": {"color": colour, "dash": DASHES[look["linestyle"]], "width": 1.8},
        "marker": {
            "color": colour,
            "symbol": SYMBOLS[look["marker"]] + ("-open" if filling == "none" else ""),
            "size": 8,
            "line": {"color": colour, "width": 1.2},
            **fade,
        },
    }


def said(trace: Trace, texts: Iterable[str]) -> Trace:
    """Return a trace that says a text at each of its points."""
    return trace | {"hovertext": [*texts], "hovertemplate": "%{hovertext}<extra></extra>"}


def with_interval(trace: Trace, axis: str, low: Sequence[Any], high: Sequence[Any]) -> Trace:
    """Return a trace with an interval about each point, along the axis x or y; None is no interval."""
    ends = list(zip(trace[axis], low, high, strict=True))
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [None if None in (at, b) else number(b - at) for at, _, b in ends],
        "arrayminus": [None if None in (at, a) else number(at - a) for at, a, _ in ends],
        "thickness": 1.1,
        "width": 3,
        "color": trace["marker"]["color"],
    }
    return trace | {f"error_{axis}": bars}


def share_axis(title: str) -> Trace:
    """Return an axis of shares in per cent, all of them."""
    ticks = {"tickformat": ".0%", "tick0": 0, "dtick": 0.25}
    return {"title": {"text": title}, "range": [-0.05, 1.05], **ticks}


def metric_axis(metric: Row, values: Sequence[float], kind: str = "test") -> Trace:
    """Return the axis of a metric that has these values: of a loss logarithmic, of a share in per cent."""
    unit = metric["unit"]
    named = plain(f"{kind} {with_unit(metric)}")
    low, high = metric["metric_low"], metric["metric_high"]
    if unit == "share" and (low, high) == (0, 1):
        return share_axis(named)
    axis: Trace = {"title": {"text": named}}
    if unit == "share":
        axis["tickformat"] = ".0%"
    if is_loss(metric) and values and min(values) > 0:
        return axis | log_ticks(min(values), max(values), lambda value: written(value, 1))
    if math.isfinite(low) and math.isfinite(high):
        margin = 0.04 * (high - low)
        axis["range"] = [low - margin, high + margin]
    return axis


def value_format(metric: Row) -> str:
    """Return how Plotly writes a value of a metric where it is pointed at."""
    return ".1%" if metric["unit"] == "share" else ".3g"


def log_ticks(low: float, high: float, written: Callable[[float], str]) -> Trace:
    """Return what makes an axis logarithmic: ticks at 1, 2 and 5, or at decades, of many at some.

    Args:
        low: the least value, above 0.
        high: the largest.
        written: a value to the text of its tick.
    """
    first = max(math.floor(math.log10(low)) - 1, sys.float_info.min_10_exp)
    last = min(math.ceil(math.log10(high)) + 1, sys.float_info.max_10_exp)
    decades = range(first, last + 1, max(1, (last - first) // 6))
    parts = (1, 2, 5) if high < 300 * low else (1,)
    ticks = [part * 10.0**power for power in decades for part in parts]
    return {"type": "log", "tickvals": ticks, "ticktext": [*map(written, ticks)]}


def length_axis(title: str, lengths: Sequence[int]) -> Trace:
    """Return an axis of lengths with a tick at each; of lengths that grow by factors logarithmic."""
    axis: Trace = {"title": {"text": title}, "tickvals": [*lengths], "ticktext": [*map(str, lengths)]}
    return axis | {"type": "log" if styles.by_factors(lengths) else "linear"}


def model_axis(models: Sequence[str]) -> tuple[Trace, int]:
    """Return an axis of models, the first on top, and the height of its panel in pixels."""
    labels = [textwrap.wrap(model, LONGEST) for model in models]
    ticks = {
        "tickvals": [*range(len(models))],
        "ticktext": ["<br>".join(map(plain, label)) for label in labels],
    }
    row = LINE * max(map(len, labels)) + BETWEEN
    axis = {**ticks, "range": [len(models) - 0.4, -0.6], "automargin": True, "zeroline": False}
    return axis, row * len(models) + ABOUT
