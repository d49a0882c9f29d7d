"""Numbers as text: counts, measurements, and values in the unit of a metric."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pandas as pd

#: The text of a number that does not exist.
MISSING = "–"


def count(value: float | None) -> str:
    """Return a count in three digits: 950, 12.5k, 1.2M; ∞ for one that is infinite."""
    if pd.isna(value):
        return MISSING
    if math.isinf(value):
        return "∞"
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
    text = f"{value:.{digits - 1}e}" if small else f"{value:z.{digits}g}"
    return re.sub(r"e([+-])0*", lambda match: "e" + match[1].strip("+"), text)


def signed(value: float, form: str = ".3g") -> str:
    """Return a difference with its sign, `+0.5`, `-12`, and without one where it rounds to nothing, `0.0`."""
    text = f"{value:+z{form}}"
    return text.lstrip("+") if float(text) == 0 else text


def measured(value: float, unit: str, beside: str = "") -> str:
    """Return the value of a metric: `0.003 [0.001–0.005]`, or in per cent where the unit is `share`.

    Args:
        value: the value.
        unit: the unit of the metric. Only per cent is written; the heading of a table names other units.
        beside: what stands between the number and its unit, such as an interval.
    """
    text = f"{_in_unit(value, unit)} {beside}".rstrip()
    return f"{text} %" if unit == "share" else text


def measured_each(values: Iterable[float], unit: str) -> str:
    """Return several values of a metric: `0.003, 0.004`, `97.5, 100.0 %`."""
    *first, last = values
    return "".join(f"{_in_unit(value, unit)}, " for value in first) + measured(last, unit)


def among(low: float, high: float, unit: str) -> str:
    """Return the bounds of a metric without its unit: `0.001–0.005`, `-0.2 to 0.1`."""
    return (" to " if low < 0 else "–").join(_in_unit(value, unit) for value in (low, high))


def _in_unit(value: float, unit: str) -> str:
    return f"{100 * value:z.1f}" if unit == "share" else number(value)
