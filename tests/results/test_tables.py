"""What a comparison counts, averages, labels and owns up to."""

import math
from typing import Any

import pandas as pd
import pytest
from handmade import failed, mixed, run

from seqbench.results.tables import compare, is_share, records, told_by
from seqbench.runs.store import Result


def cell(frame: pd.DataFrame, **where: Any) -> dict[str, Any]:
    found = [row for row in records(frame) if all(row[name] == value for name, value in where.items())]
    assert len(found) == 1
    return found[0]


def models(results: list[Result]) -> list[str]:
    return sorted(compare(results)["model"].unique())


def test_every_model_has_every_column() -> None:
    frame = compare(mixed())
    # Four models on the one task; two on the other, which never met the leaky ones.
    assert len(frame) == 4 + 2
    assert sorted(frame["model"].unique()) == [
        "gru",
        "leaky_rnn (alpha=0.5)",
        "leaky_rnn (alpha=0.9)",
        "lstm",
    ]
    absent = cell(frame, task="copy_memory", model="gru")
    assert (absent["runs"], absent["note"]) == (0, "not run")
    assert math.isnan(absent["mean"]) and absent["metric"] == "accuracy"


def test_a_whole_cell() -> None:
    row = cell(compare(mixed()), task="adding", model="lstm")
    half = 2.7764 * math.sqrt(0.5) * 1e-3
    assert (row["mean"], row["low"], row["high"]) == pytest.approx(
        (0.003, 0.003 - half, 0.003 + half), rel=1e-4
    )
    assert (row["runs"], row["seeds"], row["n"], row["solved"], row["note"]) == (5, 5, 5, 5, "")
    assert (row["solve_low"], row["solve_high"]) == pytest.approx((0.5655, 1), abs=1e-4)
    assert (row["median_steps"], row["parameters"], row["sequences_per_s"]) == (100, 10050, 2000)
    assert row["baseline_loss"] == 1 / 6


def test_a_failed_run_is_no_seed_of_the_mean() -> None:
    row = cell(compare(mixed()), task="adding", model="gru")
    assert (row["runs"], row["seeds"], row["n"], row["failed"], row["solved"]) == (5, 4, 4, 1, 1)
    assert row["mean"] == pytest.approx(0.1)
    assert row["median_steps"] == math.inf
    assert row["note"] == "1 failed"


def test_a_diverged_run_is_unsolved_and_missing_seeds_are_named() -> None:
    frame = compare(mixed())
    row = cell(frame, task="adding", model="leaky_rnn (alpha=0.5)")
    assert (row["seeds"], row["n"], row["diverged"], row["solved"]) == (3, 2, 1, 2)
    assert row["note"] == "3 of 5 seeds, 1 diverged, mean of 2"
    assert cell(frame, task="adding", model="leaky_rnn (alpha=0.9)")["note"] == "3 of 5 seeds"


def test_all_failed_or_all_without_value() -> None:
    frame = compare([failed(task="latch"), run(value=None, solved_at=None)])
    assert cell(frame, task="latch")["seeds"] == 0
    assert cell(frame, task="latch")["metric"] == ""
    row = cell(frame, task="adding")
    assert (row["seeds"], row["n"], row["solved"]) == (1, 0, 0)
    assert math.isnan(row["mean"])


def test_label_names_what_differs_within_a_task_and_nothing_else() -> None:
    assert models([run(optim__lr=0.01), run(optim__lr=0.1)]) == ["lstm (lr=0.01)", "lstm (lr=0.1)"]
    # A setting that goes with the task is no other model; neither is 1.0 another learning rate than 1.
    assert models([run(optim__lr=0.01), run("latch", optim__lr=0.1)]) == ["lstm"]
    assert models([run(optim__lr=1), run(optim__lr=1.0, seed=1)]) == ["lstm"]
    # None says nothing; the row is the same on every task.
    both = [run(model__dropout=None), run(model__dropout=0.5), run("latch", model__dropout=0.5)]
    assert models(both) == ["lstm", "lstm (dropout=0.5)"]
    # Namesakes in two groups keep their full key.
    two = [run(model__decay=1, optim__decay=1), run(model__decay=2, optim__decay=2)]
    assert models(two)[0] == "lstm (model.decay=1, optim.decay=1)"


@pytest.mark.parametrize(
    "key",
    [
        *("n_seeds", "runs_dir", "data_dir", "logger__project", "logger__wandb__mode", "model__engine"),
        *("trainer__devices", "trainer__accelerator", "trainer__num_threads", "trainer__progress"),
    ],
)
def test_what_does_not_decide_the_numbers_is_no_label(key: str) -> None:
    frame = compare([run(seed=0, **{key: "a"}), run(seed=1, **{key: "b"})])
    assert frame["model"].tolist() == ["lstm"]
    assert frame["seeds"].tolist() == [2]


def test_targets_are_no_labels() -> None:
    first, second = run(seed=0), run(seed=1)
    second.config["model"] = {"_target_": "y", "cell": {"_target_": "z"}}
    assert models([first, second]) == ["lstm"]


def test_width_from_a_budget_is_no_label() -> None:
    narrow = run(model__param_budget=10000, model__hidden_size=40)
    wide = run(model__param_budget=10000, model__hidden_size=50, seed=1, task__noise=0.0)
    assert models([narrow, wide]) == ["lstm"]
    free = run(model__param_budget=None, model__hidden_size=128)
    assert models([narrow, free]) == ["lstm (hidden_size=128)", "lstm (param_budget=10000)"]
    other = run(model__param_budget=20000, model__hidden_size=60)
    assert models([narrow, other]) == ["lstm (param_budget=10000)", "lstm (param_budget=20000)"]


def test_variants_of_a_task_are_columns() -> None:
    frame = compare([run(task__variant="1997"), run(task__variant="halves", optim__lr=0.1)])
    assert frame["task"].tolist() == ["adding (variant=1997)", "adding (variant=halves)"]
    assert frame["model"].unique().tolist() == ["lstm"]


def test_lengths_beyond_training_are_columns_of_their_own() -> None:
    beyond = [
        run(length=50, seed=s, task__eval_lengths=[50, 100], test={"50": {"loss": 0.1}, "100": {"loss": 0.2}})
        for s in range(2)
    ]
    frame = compare([*beyond, run(length=100, value=0.05)])
    assert frame[["train_length", "length"]].to_numpy().tolist() == [[50, 50], [50, 100], [100, 100]]
    assert frame["mean"].tolist() == [0.1, 0.2, 0.05]
    assert frame["solved"].isna().tolist() == [False, True, False]
    assert cell(frame, train_length=50, length=50)["median_steps"] == 100


def test_the_later_of_two_runs_with_one_seed_counts() -> None:
    early = run(value=0.5, finished_at="2026-01-01T00:00:00Z", task__eval_lengths=None)
    late = run(value=0.25, finished_at="2026-01-02T00:00:00Z", task__eval_lengths=[50])
    broken = failed(finished_at="2026-01-03T00:00:00Z")
    row = cell(compare([late, early, broken]), length=50)
    assert (row["runs"], row["mean"]) == (1, 0.25)


def test_a_failed_run_without_a_length_joins_the_others() -> None:
    real, lost = run("mnist", length=784), failed(task="mnist", seed=1)
    del real.config["task"]["length"], lost.config["task"]["length"]
    row = cell(compare([real, lost]), task="mnist")
    assert (row["length"], row["runs"], row["failed"]) == (784, 2, 1)
    assert compare([lost])["length"].tolist() == [0]


@pytest.mark.parametrize(
    ("metric", "share", "best"),
    [
        ("accuracy", True, "max"),
        ("open_exact", True, "max"),
        ("facts", True, "max"),
        ("word_error", True, "min"),
        ("error_two_facts", True, "min"),
        ("gap_phoneme_error", True, "min"),
        ("bit_errors", False, "min"),
        ("loss", False, "min"),
    ],
)
def test_which_metrics_are_shares_and_which_end_of_them_is_good(metric: str, share: bool, best: str) -> None:
    assert is_share(metric) is share
    (told,) = told_by([run(test={"50": {metric: 0.25, "loss": 1.0}})], metric)
    assert (told.metric, told.best) == (metric, best)
