"""The frame of a comparison: its rows, what they count, and the meaning of their metric."""

import math
from typing import Any

import pandas as pd
import pytest
from handmade import failed, mixed, run

from seqbench.errors import ConfigError, StoreError
from seqbench.results.frame import compare, records, with_metric
from seqbench.results.summaries.solve_rate import SolveRate
from seqbench.runs.result import Result
from seqbench.tasks.metrics import Metric, loss, share


def cell(frame: pd.DataFrame, **where: Any) -> dict[str, Any]:
    found = [row for row in records(frame) if all(row[name] == value for name, value in where.items())]
    assert len(found) == 1
    return found[0]


def test_a_model_has_rows_for_the_tasks_and_lengths_that_it_was_asked_for() -> None:
    longer = [run(length=100, seed=s) for s in range(2)]
    longer += [run(model="leaky_rnn", length=100, model__cell__alpha=0.9)]
    frame = compare([*mixed(), *longer]).frame
    # Four models on the one task, lstm alone on the other.
    assert len(frame) == 4 + 2 + 1
    assert sorted(frame["model"].unique()) == [
        "gru",
        "leaky_rnn (alpha=0.5)",
        "leaky_rnn (alpha=0.9)",
        "lstm",
    ]
    # Nothing says that the others were to be run at 100.
    assert frame[frame["length"] == 100]["model"].tolist() == ["leaky_rnn (alpha=0.9)", "lstm"]


def test_a_staircase_is_no_incomplete_sweep() -> None:
    """Each model has spans of its own, and ten runs where its rate falls: said, and nothing is lacking."""
    spans = {"lstm": {10: 5, 20: 5, 40: 10}, "rnn": {10: 5, 14: 10, 20: 5}}
    results = [
        run(model=model, length=length, seed=s)
        for model, its in spans.items()
        for length, n in its.items()
        for s in range(n)
    ]
    frame = compare(results).frame
    notes = dict(zip(zip(frame["model"], frame["length"], strict=True), frame["note"], strict=True))
    assert notes == {
        (model, length): "10 seeds" if n == 10 else ""
        for model, its in spans.items()
        for length, n in its.items()
    }


def test_a_whole_cell() -> None:
    row = cell(compare(mixed()).frame, task="adding", model="lstm")
    assert (row["median"], row["low"], row["high"]) == (0.003, 0.001, 0.005)
    assert row["values"] == [0.001, 0.002, 0.003, 0.004, 0.005]
    assert (row["runs"], row["seeds"], row["n"], row["solved"], row["note"]) == (5, 5, 5, 5, "")
    assert (row["solve_low"], row["solve_high"]) == pytest.approx((0.5655, 1), abs=1e-4)
    assert (row["median_steps"], row["parameters"]) == (100, 10050)
    assert "sequences_per_s" not in row  # of cores that others use too it says little
    assert row["baseline_loss"] == 1 / 6


def test_a_failed_run_is_no_seed_of_the_median() -> None:
    row = cell(compare(mixed()).frame, task="adding", model="gru")
    assert (row["runs"], row["seeds"], row["n"], row["failed"], row["solved"]) == (5, 4, 4, 1, 1)
    assert row["median"] == 0.1
    assert row["median_steps"] == math.inf
    assert row["note"] == "1 failed"


def test_a_diverged_run_is_unsolved_and_fewer_seeds_are_named() -> None:
    frame = compare(mixed()).frame
    row = cell(frame, task="adding", model="leaky_rnn (alpha=0.5)")
    assert (row["seeds"], row["n"], row["diverged"], row["solved"]) == (3, 2, 1, 2)
    assert row["note"] == "3 seeds, 1 diverged, 2 of 3 with a value"
    assert cell(frame, task="adding", model="leaky_rnn (alpha=0.9)")["note"] == "3 seeds"


def test_all_failed_or_all_without_value() -> None:
    frame = compare([failed(task="latch"), run(value=None, solved_at=None)]).frame
    assert cell(frame, task="latch")["seeds"] == 0
    assert cell(frame, task="latch")["metric"] == ""
    row = cell(frame, task="adding")
    assert (row["seeds"], row["n"], row["solved"]) == (1, 0, 0)
    assert math.isnan(row["median"])


def test_lengths_beyond_training_are_columns_of_their_own() -> None:
    beyond = [
        run(length=50, seed=s, task__eval_lengths=[50, 100], test={"50": {"loss": 0.1}, "100": {"loss": 0.2}})
        for s in range(2)
    ]
    frame = compare([*beyond, run(length=100, value=0.05)]).frame
    assert frame[["train_length", "length"]].to_numpy().tolist() == [[50, 50], [50, 100], [100, 100]]
    assert frame["values"].tolist() == [[0.1, 0.1], [0.2, 0.2], [0.05]]
    assert frame["solved"].isna().tolist() == [False, True, False]
    assert cell(frame, train_length=50, length=50)["solved_at"] == [100, 100]


def test_the_later_of_two_runs_with_one_seed_counts() -> None:
    early = run(value=0.5, finished_at="2026-01-01T00:00:00Z", task__eval_lengths=None)
    late = run(value=0.25, finished_at="2026-01-02T00:00:00Z", task__eval_lengths=[50])
    broken = failed(finished_at="2026-01-03T00:00:00Z")
    row = cell(compare([late, early, broken]).frame, length=50)
    assert (row["runs"], row["values"]) == (1, [0.25])


def test_seeds_are_in_their_order_whichever_ended_first() -> None:
    ended = {0: "2026-01-03", 1: "2026-01-01", 2: "2026-01-02"}
    frame = compare([run(seed=s, value=float(s), finished_at=at) for s, at in ended.items()]).frame
    assert frame["values"].tolist() == [[0.0, 1.0, 2.0]]


def test_a_failed_run_without_a_length_joins_the_others() -> None:
    real, lost = run("mnist", length=784), failed(task="mnist", seed=1)
    del real.config["task"]["length"], lost.config["task"]["length"]
    row = cell(compare([real, lost]).frame, task="mnist")
    assert (row["length"], row["runs"], row["failed"]) == (784, 2, 1)
    assert compare([lost]).frame["length"].tolist() == [0]


def with_metrics(**values: float) -> Result:
    known = {"loss": loss("nats"), "f1": share("f1"), "error": share("error", "min")}
    known["bits"] = Metric("bits", "min", "bits", 0.0)
    return run(
        test={"50": {"loss": 1.0, **values}}, metrics={name: known[name] for name in ("loss", *values)}
    )


@pytest.mark.parametrize(
    ("metric", "direction", "unit", "bounds"),
    [
        ("f1", "max", "share", (0, 1)),
        ("error", "min", "share", (0, 1)),
        ("bits", "min", "bits", (0, math.nan)),
        ("loss", "min", "nats", (0, math.nan)),
    ],
)
def test_another_metric_brings_its_stored_meaning(
    metric: str, direction: str, unit: str, bounds: tuple[float, float]
) -> None:
    results = with_metric([with_metrics(f1=0.25, error=0.25, bits=0.25)], metric)
    row = cell(compare(results).frame)
    assert (results[0].direction, row["direction"], row["unit"]) == (direction, direction, unit)
    assert (row["metric_low"], row["metric_high"]) == pytest.approx(bounds, nan_ok=True)
    assert row["values"] == [1.0 if metric == "loss" else 0.25]


def test_a_metric_that_only_some_tasks_have() -> None:
    results = with_metric([with_metrics(f1=0.5), run("latch")], "f1")
    frame = compare(results).frame
    assert cell(frame, task="adding")["values"] == [0.5]
    other = cell(frame, task="latch")
    assert (other["metric"], other["direction"], other["n"]) == ("f1", "", 0)
    with pytest.raises(StoreError, match=r"no result has the test metric 'f2'; there are f1, loss\.$"):
        with_metric(results, "f2")


def test_two_summaries_cannot_have_one_column() -> None:
    with pytest.raises(ConfigError, match="have the column 'solved'"):
        compare([run()], [SolveRate(), SolveRate()])
