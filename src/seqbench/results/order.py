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


def _metric(row: Row) -> float:
    if not row["n"]:
        return math.nan
    middle: float = median(row["values"])
    return -middle if row["direction"] == "max" else middle


def _steps(row: Row) -> float:
    if not isinstance(row["solved_at"], list):  # tested at another length
        return math.nan
    solved, censored = row["solved_at"], row["censored_at"]
    return kaplan_meier([*solved, *(None for _ in censored)], [*solved, *censored]).median


#: What models can be sorted by -> a number that is smaller for a better cell, missing where there is none.
ORDERS: dict[str, Callable[[Row], Any]] = {
    "model": lambda row: 0.0,
    "metric": _metric,
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
