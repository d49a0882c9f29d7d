"""Memory as a share of the task's length."""

from __future__ import annotations

import math

import pytest

import seqbench
from seqbench.errors import ConfigError


def composed(*overrides: str):
    return seqbench.compose(["task=latch", *overrides])


@pytest.mark.parametrize("length", [10, 200])
def test_a_share_means_as_much_as_the_length_says(length):
    at = f"task.length={length}"
    u = 0.3 * length
    leaky = composed(at, "model=leaky_rnn", "model.cell.alpha=[0.0,${seqbench.alpha:0.3}]")
    assert leaky.model.cell.alpha == [0.0, u / (1 + u)]
    assert composed(at, "model=lem", "model.cell.dt=${seqbench.rate:0.3}").model.cell.dt == 1 / (1 + u)
    assert composed(at, "model.cell.chrono=${seqbench.steps:0.3}").model.cell.chrono == round(u)
    assert composed(at, "model.cell.chrono=${seqbench.steps:0.001,1,2}").model.cell.chrono == 2
    periods = composed(at, "model=clockwork_rnn", "model.cell.periods=[1,${seqbench.steps:0.3,0.5}]")
    assert periods.model.cell.periods == [1, round(math.sqrt(u))]
    keep = composed(at, "model.cell.forget_bias=${seqbench.keep_bias:0.3}").model.cell.forget_bias
    assert 1 / (1 + math.exp(-keep)) == pytest.approx(u / (1 + u))
    assert (
        composed(at, "model=mgu", "model.cell.gate_bias=${seqbench.take_bias:0.3}").model.cell.gate_bias
        == -keep
    )


def test_a_share_is_one_of_the_key_that_sets_the_span():
    words = ["task=time_warp", "task.length=300", "model=lstm"]
    for warp in (20, 60):
        cfg = seqbench.compose([*words, f"task.warp={warp}", "model.cell.chrono=${seqbench.steps:0.5}"])
        assert cfg.model.cell.chrono == warp // 2
    with pytest.raises(ConfigError, match=r"seqbench.steps:-1\} must be a share above 0 of task.warp=10\."):
        seqbench.compose([*words, "model.cell.chrono=${seqbench.steps:-1}"])


def test_the_inputs_in_a_leaky_state_are_as_old_in_the_mean_as_the_share_says():
    alpha = composed("task.length=40", "+model.cell.alpha=${seqbench.alpha:0.25}").model.cell.alpha
    weights = [alpha**age for age in range(2000)]
    mean_age = sum(age * weight for age, weight in enumerate(weights)) / sum(weights)
    assert mean_age == pytest.approx(10)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "model.cell.chrono=${seqbench.steps:0}",
            r"\$\{seqbench.steps:0\} must be a share above 0 of task.len",
        ),
        (
            "model.cell.chrono=${seqbench.steps:half}",
            r"\$\{seqbench.steps:half\} is a share of task.length, whi",
        ),
    ],
)
def test_what_is_no_share_is_one_sentence(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        composed(override)


def test_a_task_without_a_length_has_no_share():
    with pytest.raises(
        ConfigError, match=r"\$\{seqbench.steps:0.5\} is a share of task.length, which is None"
    ):
        seqbench.compose(["task=mnist_rows", "model=lstm", "model.cell.chrono=${seqbench.steps:0.5}"])
