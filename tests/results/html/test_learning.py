"""The panels of learning curves."""

from __future__ import annotations

import pandas as pd
import pytest

from seqbench.results.curves import CELL, over_seeds
from seqbench.results.html.learning import MOST, _thinned, learning_panels

METRICS = {"adding": {"metric": "loss", "direction": "min", "unit": "", "metric_low": 0.0}}


def curves(ends: list[int]) -> pd.DataFrame:
    """Return curves of seeds that end at these steps; all fall at step 2,990."""
    rows = [
        ("adding", 50, "gru", seed, step, (3.0 if step < 2990 else 0.001) * (1 + seed / 100))
        for seed, end in enumerate(ends)
        for step in range(10, end + 1, 10)
    ]
    return pd.DataFrame(rows, columns=[*CELL, "seed", "step", "value"])


def test_the_median_is_that_of_all_evaluations_where_few_are_drawn() -> None:
    every = curves([4000, 4000, 2990])
    metrics = {"adding": METRICS["adding"] | {"metric_high": float("inf")}}
    (panel,) = learning_panels(every, metrics, ["gru"])
    (line,) = [trace for trace in panel.data if "customdata" in trace]
    expected = over_seeds(every, metrics).set_index("step")
    assert len(line["x"]) < MOST + 5 and 2990 in line["x"]
    for step, middle, (n, low, high) in zip(line["x"], line["y"], line["customdata"], strict=True):
        row = expected.loc[step]
        assert (middle, n, low, high) == pytest.approx((row["median"], row["n"], row["low"], row["high"]))


def test_a_short_curve_is_drawn_whole() -> None:
    few = curves([500, 700, 900])
    assert len(_thinned(few)) == len(few)


def test_steps_are_whole() -> None:
    """They are pointed at, and looked up in `metrics.csv`."""
    every = curves([20, 20, 20])
    every["step"] = every["step"].map({10: 157_182, 20: 1_234_567})
    metrics = {"adding": METRICS["adding"] | {"metric_high": float("inf")}}
    (panel,) = learning_panels(every, metrics, ["gru"])
    steps = [trace["x"] for trace in panel.data]
    assert len(steps) == 5 and all({*x} == {157_182, 1_234_567} for x in steps)
