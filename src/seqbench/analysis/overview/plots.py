"""Small plots of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

#: A column of a plot, from empty to full.
EIGHTHS = " ▁▂▃▄▅▆▇█"
#: Columns of the numbers beside a plot, so that plots below one another have their steps in line.
AXIS = 8
#: Shades of an image, from its least to its greatest value.
SHADES = "·:+#"


def bars(values: Sequence[float], width: int, height: int = 4) -> list[str]:
    """Return a plot of a series as columns, with its least and its greatest value beside it.

               1 ┤███▂         ▅
                 │████▆▄▅▆▄▄▄▅▇█
            -0.8 ┤████████████▇█

    More values than columns are put together: each column then shows the one farthest from the mean.

    Args:
        values: finite numbers; nan leaves a column empty.
        width: columns, those of the axis included.
        height: rows; a series of only two values has one, with the names of both.
    """
    known = [value for value in values if not math.isnan(value)]
    low, high = min(known), max(known)
    if len({*known}) <= 2:
        height = 1
    labels = [f"{high:.2g}", *[""] * (height - 2), f"{low:.2g}"] if height > 1 else [_ends(low, high)]
    axis = max(AXIS, *map(len, labels))
    shown = _thinned(values, width - axis - 2)
    eighths = [_eighths(value, low, high, 8 * height) for value in shown]
    return [
        f"{label:>{axis}} {'┤' if label else '│'}"
        + "".join(EIGHTHS[min(max(filled - 8 * (height - 1 - row), 0), 8)] for filled in eighths).rstrip()
        for row, label in enumerate(labels)
    ]


def _ends(low: float, high: float) -> str:
    return f"{low:.2g}" if low == high else f"{low:.2g}, {high:.2g}"


def _eighths(value: float, low: float, high: float, full: int) -> int:
    """Return how many eighths of a column's rows are filled: at least one of a value that is there."""
    if math.isnan(value):
        return 0
    return full if low == high else 1 + round((value - low) / (high - low) * (full - 1))


def _thinned(values: Sequence[float], most: int) -> list[float]:
    """Return at most so many values: of each group of neighbours the one farthest from the mean of all."""
    size = -(-len(values) // most)
    mean = fmean(value for value in values if not math.isnan(value))
    groups = (values[start : start + size] for start in range(0, len(values), size))
    return [max(group, key=lambda value: -1 if math.isnan(value) else abs(value - mean)) for group in groups]


def image(rows: Sequence[Sequence[float]], width: int) -> list[str]:
    """Return an image as lines of characters; where it is wider than `width`, the parts below one another.

    Args:
        rows: of the image, from the top; nan is blank.
        width: columns.
    """
    known = [value for row in rows for value in row if not math.isnan(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    parts = [
        ["".join(_shade(value, low, high) for value in row[start : start + width]) for row in rows]
        for start in range(0, max(map(len, rows)), width)
    ]
    return [line for i, part in enumerate(parts) for line in ([""] * bool(i) + part)]


def _shade(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return " "
    share = (value - low) / (high - low) if high > low else 0.0
    return SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]
