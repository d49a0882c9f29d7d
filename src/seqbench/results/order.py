"""The order of models in the table of a task: by name, or by what they came to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import pandas as pd

from seqbench.errors import ConfigError, nearest
from seqbench.results.frame import Comparison, records
from seqbench.results.statistics.survival import kaplan_meier
from seqbench.results.summaries import Row


def metric_order(row: Row) -> float:
    """Return the median of the metric over all seeds, smaller for a better one.

    A seed without a value, such as one that diverged, is worse than every other: the median of the others
    alone would put a model first of which most runs diverge. Missing without any value.
    """
    if not row["n"]:
        return math.nan
    sign = -1 if row["direction"] == "max" else 1
    middle: float = median([*(sign * v for v in row["values"]), *[math.inf] * (row["seeds"] - row["n"])])
    return middle


def _steps(row: Row) -> float:
    if not isinstance(row["solved_at"], list):  # tested at another length
        return math.nan
    solved, censored = row["solved_at"], row["censored_at"]
    return kaplan_meier([*solved, *(None for _ in censored)], [*solved, *censored]).median


#: What models can be sorted by -> a number that is smaller for a better cell, missing where there is none.
ORDERS: dict[str, Callable[[Row], Any]] = {
    "model": lambda row: 0.0,
    "metric": metric_order,
    "solve_rate": lambda row: -row["solve_rate"],
    "steps": _steps,
    "parameters": lambda row: row["parameters"],
}


def in_order(comparison: Comparison, by: str) -> Comparison:
    """Return the comparison with the models of each task sorted by one of `ORDERS`, the best first.

    The greatest length decides, and where models are equal there the next. A model without a value is last.

    Raises:
        ConfigError: there is no such order.
    """
    if by not in ORDERS:
        raise ConfigError(f"--sort={by} must be one of {', '.join(ORDERS)}.{nearest(by, ORDERS)}")
    rows = records(comparison.frame)
    columns = sorted({(row["train_length"], row["length"]) for row in rows}, reverse=True)
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        mine = values.setdefault((row["task"], row["model"]), [math.inf] * len(columns))
        value = ORDERS[by](row)
        place = columns.index((row["train_length"], row["length"]))
        mine[place] = math.inf if pd.isna(value) else float(value)

    def key(row: Row) -> tuple[object, ...]:
        name = (row["task"], row["model"])
        return row["task"], values[name], row["model"], row["train_length"], row["length"]

    order = sorted(range(len(rows)), key=lambda i: key(rows[i]))
    return replace(comparison, frame=comparison.frame.iloc[order].reset_index(drop=True))
