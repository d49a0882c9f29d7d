"""Which spans a staircase tries."""

import math

import pytest

from seqbench.results.statistics.span import Outcomes, fit_span
from seqbench.results.statistics.staircase import next_runs, next_spans, possible_spans


def climbed(limit: float, least: int, most: int, n: int = 5) -> tuple[list[list[int]], Outcomes]:
    """Return the batches of a staircase, and its outcomes, where all runs solve spans up to a limit."""
    outcomes: dict[int, tuple[int, int]] = {}
    batches = []
    while spans := next_spans(outcomes, least, most, n):
        batches.append(spans)
        outcomes |= {span: (n if span <= limit else 0, n) for span in spans}
    return batches, outcomes


def test_doubles_until_eight_runs_in_a_row_solve_nothing_then_fills_in() -> None:
    assert climbed(50, 10, 400)[0] == [[10, 20], [40, 80], [160], [57]]
    assert climbed(80, 10, 400)[0] == [[10, 20], [40, 80], [160, 400], [113]]
    assert climbed(50, 10, 400, n=8)[0] == [[10], [20], [40], [80], [57]]
    assert climbed(15, 10, 400, n=2)[0] == [[10, 20, 40, 80], [160], [14]]


def test_ends_at_the_least_and_at_the_largest() -> None:
    assert climbed(5, 10, 400)[0] == [[10, 20]]
    assert climbed(1e9, 10, 400)[0] == [[10, 20], [40, 80], [160, 400]]
    assert climbed(1e9, 10, 10)[0] == [[10]]
    assert climbed(0, 10, 10)[0] == [[10]]
    assert climbed(1e9, 10, 13)[0] == [[10, 13]]


def test_half_octaves_fill_the_whole_fall() -> None:
    outcomes = {10: (5, 5), 20: (4, 5), 40: (1, 5), 80: (0, 5), 160: (0, 5)}
    assert next_spans(outcomes, 10, 400, 5) == [14, 28, 57]
    # A lucky run far out reopens the search there.
    assert next_spans({**outcomes, 160: (1, 5)}, 10, 400, 5) == [400]


def test_a_run_that_fails_short_of_the_fall_adds_no_spans() -> None:
    outcomes = {10: (4, 5), 20: (5, 5), 40: (5, 5), 80: (5, 5), 160: (0, 5), 400: (0, 5)}
    assert next_spans(outcomes, 10, 400, 5) == [113]
    assert next_spans({**outcomes, 40: (4, 5), 80: (3, 5)}, 10, 400, 5) == [28, 57, 113]
    # What half-octaves give changes nothing of which are asked for: a part of them may be done.
    assert next_spans({**outcomes, 40: (4, 5), 80: (3, 5), 57: (5, 5)}, 10, 400, 5) == [28, 113]


def test_small_spans_are_whole_and_different() -> None:
    outcomes = {1: (5, 5), 2: (3, 5), 4: (2, 5), 8: (0, 5), 10: (0, 5)}
    assert next_spans(outcomes, 1, 10, 5) == [3, 6]


def test_resumes_from_the_outcomes_alone() -> None:
    batches, outcomes = climbed(80, 10, 400)
    for done in range(len(batches)):
        known = {span: outcomes[span] for batch in batches[:done] for span in batch}
        assert next_spans(known, 10, 400, 5) == batches[done]
        # Half of a batch is done: the rest of it is asked for.
        known[batches[done][0]] = outcomes[batches[done][0]]
        assert next_spans(known, 10, 400, 5)[: len(batches[done]) - 1] == batches[done][1:]
    assert next_spans(dict(reversed(outcomes.items())), 10, 400, 5) == []


@pytest.mark.parametrize(("least", "most"), [(10, 9), (0, 5)])
def test_impossible_limits_are_refused(least: int, most: int) -> None:
    with pytest.raises(ValueError, match="the least is 1 or more"):
        next_spans({}, least, most, 5)


def test_a_wide_interval_asks_for_more_runs_where_the_rate_falls() -> None:
    done = {10: (5, 5), 14: (5, 5), 20: (4, 5), 28: (2, 5), 40: (3, 5), 57: (2, 5), 80: (1, 5), 113: (0, 5)}
    done |= {160: (0, 5), 400: (0, 5)}
    assert next_spans(done, 10, 400, 5) == []
    assert 2 < fit_span(done).factor < math.inf
    assert next_runs(done, 10, 400, 5, 10) == dict.fromkeys([14, 20, 28, 40, 57, 80, 113], 10)
    assert next_runs(done, 10, 400, 5, 5) == {}
    half = {**done, 20: (7, 10)}
    assert next_runs(half, 10, 400, 5, 10) == dict.fromkeys([14, 28, 40, 57, 80, 113], 10)


def test_a_narrow_or_an_open_interval_asks_for_no_more() -> None:
    narrow = {10: (5, 5), 20: (5, 5), 40: (0, 5), 28: (5, 5), 80: (0, 5)}
    assert next_runs(narrow, 10, 400, 5, 10) == {}
    assert next_runs({10: (3, 5), 20: (0, 5), 40: (0, 5), 14: (1, 5)}, 10, 400, 5, 10) == {}
    assert next_runs({}, 10, 400, 5, 10) == {10: 5, 20: 5}


@pytest.mark.parametrize(("least", "most"), [(1, 10), (10, 400), (10, 399), (7, 7), (24, 1000), (3, 5)])
def test_possible_spans_hold_all_that_a_staircase_tries(least: int, most: int) -> None:
    tried = {s for limit in range(1, most + 2) for batch in climbed(limit, least, most)[0] for s in batch}
    assert tried <= {*possible_spans(least, most)}
