"""Numbers as text: counts, measurements, and values in the unit of a metric."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pandas as pd

#: The text of a number that does not exist.
MISSING = "–"


def count(value: float | None) -> str:
    """Return a count in three digits: 950, 12.5k, 1.2M."""
    if pd.isna(value):
        return MISSING
    for unit in ("", "k", "M"):
        if abs(value) < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}G"


def counts(values: Iterable[float | None]) -> str:
    """Return the range of several counts, `1k–2k`, or the one count that they all are."""
    known = [value for value in values if not pd.isna(value)]
    if not known:
        return MISSING
    return MISSING.join(dict.fromkeys([count(min(known)), count(max(known))]))


def number(value: float, digits: int = 3) -> str:
    """Return a measurement with a number of significant digits: 0.167, 1.23e-4."""
    if pd.isna(value):
        return MISSING
    small = 0 < abs(value) < 1e-3
    text = f"{value:.{digits - 1}e}" if small else f"{value:.{digits}g}"
    return re.sub(r"e([+-])0*", lambda match: "e" + match[1].strip("+"), text)


def measured(value: float, unit: str, half_width: float = math.nan) -> str:
    """Return the value of a metric: `0.003 ±0.002`, or in per cent where the unit is `share`.

    Args:
        value: the value.
        unit: the unit of the metric. Only per cent is written; the heading of a table names other units.
        half_width: half the width of the value's interval, nan for none.
    """
    if unit == "share":
        text, spread, sign = f"{100 * value:.1f}", f"{100 * half_width:.1f}", " %"
    else:
        text, spread, sign = number(value), number(half_width, 2), ""
    return text + ("" if math.isnan(half_width) else f" ±{spread}") + sign
