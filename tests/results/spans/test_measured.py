"""What follows from the runs of an entrant."""

import math
from dataclasses import replace

import pytest
from entrants import PROTOCOL, at, entrant
from tests.runs.handmade import result

from seqbench.errors import ConfigError
from seqbench.results.spans.measured import Measured, at_span
from seqbench.results.statistics.goodness_of_fit import goodness_of_fit
from seqbench.results.statistics.span import fit_seeds, fit_span


def test_runs_of_results() -> None:
    trained = {
        "parameters": 7000,
        "state_size": 54,
        "device": "cpu",
        "commit": "abc",
        "versions": {"torch": "2"},
    }
    runs = [
        result(5, solved_at_step=100, solved_on_test=True, **trained),
        result(6, solved_at_step=None, status="finished", solved_on_test=True, **trained | {"device": "gpu"}),
        result(7, solved_at_step=50, status="diverged", solved_on_test=None, steps=60, **trained),
    ]
    found = at_span(40, (37, 39), 7, runs)
    assert (found.seeds, found.solved_at) == ((5, 6, 7), (100, None, None))
    assert (found.n, found.solved, found.test_differs) == (3, 1, 1)
    assert found.status == ("solved", "finished", "diverged")
    assert (found.budgets, found.parameters, found.state_size) == ((200, 200, 200), 7000, 54)
    assert found.made_with == {
        **{"commits": ("abc",), "revisions": ("",), "versions of torch": ("2",)},
        **{"compilers": ("",), "devices": ("cpu", "gpu")},
    }
    assert found.interval == pytest.approx((0.0615, 0.7923), abs=1e-3)


def test_fresh_seeds_at_each_span_are_independent() -> None:
    its = entrant()
    assert its.fit == fit_span({a.span: (a.solved, a.n) for a in its.spans})
    assert 40 < its.fit.low < its.fit.estimate < its.fit.high < 57
    assert its.fit_p == goodness_of_fit({a.span: (a.solved, a.n) for a in its.spans}, its.fit)
    assert its.falling == (40, 57)
    assert (its.plain()["span"]["fit_p"], its.plain()["span"]["falling_high"]) == (its.fit_p, 57)


def test_the_same_seeds_at_each_span_are_whole() -> None:
    rates = {10: [1] * 5, 20: [1, 1, 1, 0, 0], 40: [1, 1, 1, 0, 0], 80: [1, 1, 0, 0, 0], 160: [0] * 5}
    spans = tuple(at(s, [9 if x else None for x in r], seeds=tuple(range(5))) for s, r in rates.items())
    whole = {span: [bool(x) for x in r] for span, r in rates.items()}
    its = Measured(PROTOCOL, "gru", spans)
    assert (
        its.fit == fit_seeds(whole)
        and its.fit.factor > fit_span({s: (sum(r), 5) for s, r in whole.items()}).factor
    )
    assert its.fit_p is None and its.falling is None and its.plain()["span"]["falling_low"] is None


def test_spans_of_which_some_share_seeds_are_refused() -> None:
    spans = (at(10, [5] * 3), at(20, [5] * 3), at(40, [5] * 3, seeds=(10_000, 1, 2)))
    with pytest.raises(ConfigError, match="gru on latch: some spans share seeds and some do not"):
        _ = Measured(PROTOCOL, "gru", spans).fit


def test_cost_grows_as_it_does_where_every_run_solves_the_task() -> None:
    spans = (*entrant().spans[:3], at(57, [600, 620, None, 580, None]))
    its = Measured(PROTOCOL, "gru", spans)
    sequences, flops = its.sequence_growth(), its.flops_growth()
    assert sequences.exponent == pytest.approx(1) and flops.exponent == pytest.approx(2)
    assert (sequences.least, sequences.most, sequences.runs, sequences.unsolved) == (10, 40, 15, 0)
    assert math.isnan(Measured(PROTOCOL, "gru", spans[3:]).sequence_growth().exponent)


def test_a_span_beyond_one_at_which_a_run_failed_has_no_part_in_the_growth() -> None:
    spans = (*entrant().spans[:3], at(57, [600, 620, None, 580, None]), at(80, [10] * 5))
    sequences = Measured(PROTOCOL, "gru", spans).sequence_growth()
    assert sequences.exponent == pytest.approx(1) and (sequences.most, sequences.runs) == (40, 15)


def test_what_the_test_set_does_not_confirm_is_left_out_of_a_second_fit() -> None:
    assert entrant().is_confirmed and entrant().confirmed == entrant()
    *kept, last = entrant().spans[:3]
    doubted = replace(last, solved_on_test=(True, *[False] * 3, None))  # None: without a test
    assert doubted.confirmed.solved_at == (400, None, None, None, 400) and doubted.solved == 5
    its = Measured(PROTOCOL, "gru", (*kept, doubted))
    assert not its.is_confirmed and its.fit != its.confirmed.fit
    assert its.confirmed.fit == fit_span({10: (5, 5), 20: (5, 5), 40: (2, 5)})
    assert its.plain()["confirmed"]["text"] == str(its.confirmed.fit)
    # A run that only the test set calls solved is not: it did not solve the task within its looks.
    missed = at(57, [None] * 5, solved_on_test=(True,) * 5)
    assert missed.confirmed == missed and Measured(PROTOCOL, "gru", (missed,)).is_confirmed
    whole = tuple(replace(each, seeds=tuple(range(5))) for each in its.spans)
    seeds = {10: [True] * 5, 20: [True] * 5, 40: [True, False, False, False, True]}
    assert Measured(PROTOCOL, "gru", whole).confirmed.fit == fit_seeds(seeds)


def test_steps_within_the_first_look_say_nothing_of_cost() -> None:
    spans = (at(10, [50] * 5), at(20, [50] * 2 + [100] * 3), at(40, [100] * 5))
    assert Measured(PROTOCOL, "gru", spans).sequence_growth().exponent > 0
    most = (at(10, [50] * 5), at(20, [50] * 5), at(40, [100] * 5))
    assert math.isnan(Measured(PROTOCOL, "gru", most).flops_growth().exponent)


def test_steps_are_censored_at_the_budgets() -> None:
    steps = at(57, [600, 620, None, 580, None]).steps
    assert steps.median == 620 and steps.median_high == math.inf
    # Two runs that patience ended before any solved the task say nothing: one of the three others at 580.
    early = at(57, [600, 620, None, 580, None], budgets=(1000, 1000, 300, 1000, 300)).steps
    assert (early.median, early.median_low) == (600, 300)


def test_an_operation_that_is_not_counted_has_no_growth() -> None:
    spans = [at(span, [10 * span] * 5, step_flops=None) for span in (10, 20, 40)]
    its = Measured(PROTOCOL, "gru", tuple(spans))
    assert math.isnan(its.flops_growth().exponent) and its.sequence_growth().exponent == pytest.approx(1)


def test_runs_of_an_entrant_share_the_platform_or_are_mixed() -> None:
    assert entrant().mixed == {}
    spans = (at(10, [5] * 5), at(20, [5] * 5, made_with={"devices": ("gpu",), "versions of torch": ("2",)}))
    assert Measured(PROTOCOL, "gru", spans).mixed == {"devices": 2}


def test_nothing_complete_has_no_fit() -> None:
    assert Measured(PROTOCOL, "gru", ()).fit is None
