"""The objective: its order, and that one number keeps it."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from seqbench.search.objective import Outcome, Score, outcome, quality, score, value
from seqbench.tasks.metrics import Metric, loss, share
from tests.runs.handmade import result


def run(solved_at_step: int | None = None, quality: float = 0.5) -> Outcome:
    return Outcome(
        length=50,
        seed=0,
        status="finished" if solved_at_step is None else "solved",
        steps=1000,
        ended=False,
        solved_at_step=solved_at_step,
        solvable=True,
        metric="accuracy",
        value=quality,
        quality=quality,
        seconds=1.0,
        device="",
        commit=None,
    )


def test_more_solved_runs_count_before_fewer_steps_and_these_before_the_metric():
    best_first = [
        [run(900, 0.0), run(1000, 0.0)],
        [run(100, 0.0), run(None, 0.1)],
        [run(200, 1.0), run(None, 0.9)],
        [run(None, 0.9), run(None, 0.9)],
        [run(None, 0.9), run(None, 0.8)],
    ]
    scores = [score(runs) for runs in best_first]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == Score(solved=2, early=-950.0, quality=0.0)
    values = [value(each, 1000) for each in scores]
    assert values == sorted(values, reverse=True) and values[0] == 2.05


def test_a_run_that_diverges_after_it_has_solved_the_task_has_not_solved_it():
    solved, diverged = run(300), replace(run(100), status="diverged")
    assert score([solved, diverged]) == Score(solved=1, early=-300.0, quality=0.5)
    assert score([diverged]) == Score(solved=0, early=0.0, quality=0.5)


def test_what_diverged_is_worth_nothing_whatever_it_was_before():
    runs = [result(status=status, validation={"loss": 0.1}) for status in ("finished", "diverged")]
    good, bad = (outcome(its, "length") for its in runs)
    assert good.quality > bad.quality == 0 and bad.value is None and bad.ended


def test_the_length_of_a_run_is_the_value_of_the_key_that_sets_its_span():
    its = result(length=500)
    its.config["task"]["warp"] = 20
    assert (outcome(its, "warp").length, outcome(its, "length").length) == (20, 500)
    assert outcome(its, "hops").length is None


def test_one_number_keeps_the_order_of_any_two_trials():
    rng = random.Random(0)
    for _ in range(2000):
        max_steps, runs = rng.choice([1, 7, 2000, 10**6]), rng.randint(1, 6)
        pair = [
            score(
                [
                    run(
                        rng.choice([None, rng.randint(1, max_steps), max_steps]),
                        rng.choice([0.0, 1.0, rng.random()]),
                    )
                    for _ in range(runs)
                ]
            )
            for _ in range(2)
        ]
        first, second = pair
        one, other = (value(each, max_steps) for each in pair)
        if first[:2] != second[:2] or abs(first.quality - second.quality) > 1e-8:
            assert (first > second) == (one > other) and (first < second) == (one < other), pair
        assert 0 <= one < runs + 1


@pytest.mark.parametrize(
    "metric",
    [
        share("accuracy"),
        share("error", "min"),
        loss("nats"),
        Metric("gain", "max"),
        Metric("ratio", "max", "", 1.0),
    ],
)
def test_quality_is_larger_for_the_better_and_least_for_none(metric):
    low, high = metric.low if metric.low is not None else -50.0, metric.high or 50.0
    values = [low + (high - low) * i / 99 for i in range(100)]
    found = [quality(metric, each) for each in values]
    assert found == sorted(found, reverse=metric.direction == "min") and len(set(found)) == 100
    assert all(0 <= each <= 1 for each in found)
    assert quality(metric, None) == quality(metric, math.nan) == quality(None, 1.0) == 0.0


def test_an_outcome_is_of_validation_alone():
    its = result(validation={"loss": 0.25}, test={"50": {"loss": 77.0}})
    found = outcome(its, "length")
    assert found.value == 0.25 and found.quality == quality(loss("nats"), 0.25) and found.length == 50
    assert "77" not in repr(found)


def test_a_run_has_ended_if_more_steps_would_change_nothing():
    protocol = {"max_steps": 200, "stop_when_solved": True}
    for status, stops, steps, ended in [
        ("finished", True, 200, False),
        ("finished", True, 150, True),  # of lost patience
        ("solved", True, 200, True),
        ("solved", False, 200, False),
        ("diverged", True, 200, True),
    ]:
        its = result(status=status, steps=steps)
        its.config["trainer"] = protocol | {"stop_when_solved": stops}
        assert outcome(its, "length").ended is ended, status
