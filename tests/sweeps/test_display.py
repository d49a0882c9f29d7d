"""The display: how far a sweep is, and how its configurations ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqbench.sweeps import display
from seqbench.sweeps.display import Display, verdict
from seqbench.sweeps.job import Ended, Unit
from tests.sweeps.test_job import FACTS, JOB


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set."""
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_is_that_of_the_rates(clock, capsys):
    shown = Display(slots=2)
    shown.add(6, {number: [0] for number in range(6)})
    assert shown.summary() == "0/6 jobs"
    shown.waiting = [Unit(JOB, FACTS, FACTS.seeds)] * 4
    for number in (0, 1):
        shown.started(number, Unit(JOB, FACTS, FACTS.seeds))
        shown.progressed(number, 0, None)
    clock[0] = 50.0
    shown.progressed(0, 50, "loss 0.1")  # 1 step/s: 50 s are left of 100
    shown.progressed(1, 25, None)  # 150 s are left of 200
    # The four that wait take 150 s each, on the average: (50 + 150 + 4 · 150) / 2
    assert shown.seconds_left() == pytest.approx(400)
    assert shown.summary() == "0/6 jobs, about 7 min left"
    shown.tick()
    assert capsys.readouterr().out == ""  # not yet a minute
    clock[0] = 61.0
    shown.tick()
    assert capsys.readouterr().out == (
        "0/6 jobs, about 7 min left; gru lr=1 50/100 loss 0.1 1 steps/s; gru lr=1 25/100 0 steps/s\n"
    )
    clock[0] = 130.0
    shown.tick()
    assert capsys.readouterr().out == ""  # nothing was evaluated since
    shown.counts["done"] += 1
    shown.counts["failed"] += 1
    shown.ended(0)
    assert shown.summary().startswith("2/6 jobs, 1 failed, about ")


def of(model, length=None, max_steps=100):
    """A job's one unit, of one seed."""
    config = {"task": {} if length is None else {"length": length}}
    return Unit(
        replace(JOB, config=config, choices={"model": model}), replace(FACTS, max_steps=max_steps), range(1)
    )


def test_what_waits_takes_the_time_of_its_model_at_its_length(clock):
    shown = Display(slots=1)
    shown.waiting = [of("gru", 400)]
    assert shown.seconds_left() is None
    shown.started(0, of("gru", 10))
    clock[0] = 30.0
    shown.ended(0)
    assert shown.seconds_left() == pytest.approx(30 * 40)
    shown.started(1, of("mamba2", 10))
    clock[0] = 330.0
    shown.ended(1)
    shown.waiting = [of("gru", 400), of("mamba2", 20, max_steps=50), of("lstm", 10)]
    assert shown.seconds_left() == pytest.approx(30 * 40 + 300 + (30 + 300) / 2)
    shown.started(2, of("mamba2", 20))  # has not said how far it is
    assert shown.seconds_left() == pytest.approx(30 * 40 + 300 + (30 + 300) / 2 + 600)
    shown.waiting = [of("gru")]  # without a length: an update is as long as a step
    assert shown.seconds_left() == pytest.approx(600 + 30 / 10)


def run(seed, status="solved", step=None, value=None, solvable=True):
    return Ended(seed, f"seed-{seed}", status, step, "accuracy", value, solvable)


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (
            [run(0, step=300, value=1.0), run(1, step=500, value=0.5)],
            "2/2 solved, median 400 steps, test accuracy 0.75 (0.5 to 1)",
        ),
        ([run(0, "finished", value=0.5)], "0/1 solved, test accuracy 0.5"),
        ([run(0, "finished", value=0.5, solvable=False)], "test accuracy 0.5"),
        (
            [run(0, step=1000, value=1.0), run(1, "failed"), run(2, "diverged")],
            "1/3 solved, test accuracy 1, 1 diverged, 1 failed",
        ),
        ([run(0, "failed", solvable=False)], "1 failed"),
        ([run(0, "diverged", step=100), run(1, step=300)], "1/2 solved, 1 diverged"),
    ],
)
def test_how_a_configuration_ended(ended, said):
    assert verdict(ended) == said
