"""The tests of pairs of models."""

import math

import pytest
from tests.results.handmade import run

from seqbench.errors import ConfigError
from seqbench.results.comparing.comparison import compare_models
from seqbench.results.comparing.contrasts import Contrast, told
from seqbench.results.statistics.compare import permutation_test
from seqbench.results.statistics.proportion import compare_rates
from seqbench.runs.result import Result

A, B = [0.001, 0.002, 0.004, 0.008, 0.016], [0.1, 0.2, 0.1, 0.4, 0.2]


def five(model: str, values: list[float], at: list[int | None]) -> list[Result]:
    return [
        run(model=model, seed=seed, value=value, solved_at=step, trainer__max_steps=1000, steps=step or 1000)
        for seed, (value, step) in enumerate(zip(values, at, strict=True))
    ]


def compared(results: list[Result]) -> dict[str, Contrast]:
    return {c.measure: c for c in compare_models(results, ["lstm", "gru"]).contrasts}


def test_rates_steps_and_metrics_of_a_pair() -> None:
    found = compared(
        five("lstm", A, [100, 200, 300, 400, 500]) + five("gru", B, [600, None, None, None, None])
    )
    rates = compare_rates(5, 5, 1, 5)
    solved = found["solved"]
    assert (solved.value_first, solved.value_second, solved.difference) == pytest.approx((1, 0.2, 0.8))
    assert (solved.low, solved.high, solved.p) == (rates.low, rates.high, rates.p)
    steps = found["steps"]
    assert (steps.value_first, steps.value_second) == (300, math.inf) and math.isnan(steps.difference)
    assert steps.p == pytest.approx(2 / 252) == steps.least_p
    loss = found["loss"]
    logs = [[math.log(value) for value in its] for its in (A, B)]
    assert loss.ratio and loss.value_first == pytest.approx(0.004)
    assert loss.difference == pytest.approx(math.exp(sum(logs[0]) / 5 - sum(logs[1]) / 5))
    assert loss.p == permutation_test(*logs).p and not loss.paired


def test_holm_corrects_for_all_of_them() -> None:
    results = five("lstm", A, [100] * 5) + five("gru", B, [None] * 5) + five("rnn", B, [None] * 5)
    found = compare_models(results, ["lstm", "gru", "rnn"]).contrasts
    assert len(found) == 9
    assert min(c.p_holm for c in found) == pytest.approx(9 * min(c.p for c in found))
    grouped = compare_models(results, ["lstm", "gru"], ["rnn", "gru"])
    assert {(c.first, c.second) for c in grouped.contrasts} == {("lstm", "gru"), ("rnn", "gru")}
    assert min(c.p_holm for c in grouped.contrasts) == pytest.approx(6 * min(c.p for c in found))


def test_fewer_quantities_are_corrected_less() -> None:
    results = five("lstm", A, [100] * 5) + five("gru", B, [None] * 5)
    (solved,) = compare_models(results, ["lstm", "gru"], of=["solved"]).contrasts
    assert solved.measure == "solved" and solved.p_holm == solved.p


@pytest.mark.parametrize("groups", [[["lstm"]], [["lstm", "lstm"]], [["lstm", "gru"], ["rnn"]]])
def test_one_model_is_nothing_to_compare(groups: list[list[str]]) -> None:
    with pytest.raises(ConfigError, match="--models wants two models or more to compare"):
        compare_models([run(), run(model="gru")], *groups)


def test_six_seeds_that_both_have_are_pairs_and_five_are_not() -> None:
    values = [0.01 * 2**seed for seed in range(6)]
    lstm = [run(seed=seed, value=value) for seed, value in enumerate(values)]
    gru = [run(model="gru", seed=seed, value=1.1 * value) for seed, value in enumerate(values)]
    pairs = compared(lstm + gru)["loss"]
    assert pairs.paired and pairs.p == pytest.approx(2 / 2**6) == pairs.least_p
    assert pairs.difference == pytest.approx(1 / 1.1)
    assert not compared(lstm[:5] + gru[:5])["loss"].paired
    assert not compared(lstm + gru[:5] + [run(model="gru", seed=9, value=0.1)])["loss"].paired


def test_runs_that_patience_ended_have_not_solved_the_task_by_the_end() -> None:
    budget = {"trainer__max_steps": 1000, "trainer__patience": 3}
    lstm = [run(seed=s, solved_at=500, steps=500, **budget) for s in range(5)]
    gru = [run(model="gru", seed=s, solved_at=None, steps=300, **budget) for s in range(5)]
    steps = compared(lstm + gru)["steps"]
    assert steps.p == pytest.approx(2 / 252)  # as where all five end at 1,000
    gru[:2] = [run(model="gru", seed=s, solved_at=500, steps=500, **budget) for s in range(2)]
    assert compared(lstm + gru)["steps"].value_second == math.inf


@pytest.mark.parametrize("value", [None, 1e-9])  # of weights from before it diverged
def test_diverged_runs_are_unsolved_and_left_out_of_the_metric(value: float | None) -> None:
    gru = [run(model="gru", seed=s) for s in range(3)]
    gru.append(run(model="gru", seed=3, status="diverged", value=value))
    found = compared([run(seed=s) for s in range(4)] + gru)
    assert found["solved"].value_second == pytest.approx(3 / 4)
    assert (found["loss"].n_second, found["loss"].left_out) == (3, 1)
    assert found["loss"].value_second == pytest.approx(1e-3)


@pytest.mark.parametrize("seeds", [1, 2])
def test_under_three_runs_there_are_rates_alone(seeds: int) -> None:
    found = compared([run(seed=s) for s in range(3)] + [run(model="gru", seed=s) for s in range(seeds)])
    assert found["solved"].p == 1 and found["solved"].value_second == 1
    assert (found["loss"].value_first, found["steps"].value_first) == (pytest.approx(1e-3), 100)
    for few in (found["loss"], found["steps"]):
        assert all(map(math.isnan, (few.value_second, few.difference, few.p, few.p_holm)))


def test_a_loss_of_zero_has_no_geometric_mean() -> None:
    lstm = [run(seed=s, value=v) for s, v in enumerate([0.0, 0.1, 0.2])]
    found = compared(lstm + [run(model="gru", seed=s, value=0.4) for s in range(3)])["loss"]
    assert (found.zeros, found.ratio) == (1, False)
    assert (found.value_first, found.difference) == pytest.approx((0.1, -0.3))
    share = [run("copy_memory", m, 20, s, 0.0) for s in range(3) for m in ("lstm", "gru")]
    assert compared(share)["accuracy"].zeros == 0


def test_every_test_length_in_common_is_compared() -> None:
    tests = {"50": {"loss": 0.1}, "100": {"loss": 0.2}, "200": {"loss": 0.3}}
    results = [run(seed=s, model=model, test=tests) for s in range(2) for model in ("lstm", "gru")]
    found = compare_models(results, ["lstm", "gru"]).contrasts
    assert [c.length for c in found if c.measure == "loss"] == [50, 100, 200]
    assert all(c.train_length == 50 for c in found) and len(found) == 5


def test_what_few_seeds_can_tell_is_said() -> None:
    few = list(compared(five("lstm", A, [1] * 5) + five("gru", B, [None] * 5)).values())
    assert (
        told(few) == "5 runs against 5: 5/5 against 0/5 is p = 0.002; 3/5 against 0/5, 0.062, tells nothing."
    )
    two = [run(seed=s, model=model) for s in range(2) for model in ("lstm", "gru")]
    assert "2/2 against 0/2 is p = 0.12, which tells nothing." in told(list(compared(two).values()))
    three = [run(seed=s, model=model) for s in range(3) for model in ("lstm", "gru")]
    assert "compare fewer at a time, or train more seeds" in told(list(compared(three).values()))
