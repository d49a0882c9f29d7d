"""Intervals against worked and published numbers."""

import math

import pytest

from seqbench.results.statistics import median_steps, t_interval, wilson_interval


def test_t_interval_by_hand() -> None:
    # Mean 3, s² = 10/4, s/√5 = √0.5, t(0.975, 4) = 2.7764: half-width 1.9632.
    assert t_interval([1, 2, 3, 4, 5]) == pytest.approx((3, 1.0368, 4.9632), abs=1e-4)
    # t(0.95, 4) = 2.1318.
    assert t_interval([1, 2, 3, 4, 5], level=0.9)[2] == pytest.approx(3 + 2.1318 * math.sqrt(0.5), abs=1e-4)


def test_t_interval_of_equal_one_and_no_values() -> None:
    assert t_interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)
    mean, low, high = t_interval([2.0])
    assert mean == 2
    assert math.isnan(low) and math.isnan(high)
    assert all(math.isnan(value) for value in t_interval([]))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # z²/(n + z²) for no success, 1 − that for n.
        (5, 5, 1 - 3.8415 / 8.8415, 1.0),
        (0, 5, 0.0, 3.8415 / 8.8415),
    ],
)
def test_wilson_interval_as_published(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=1e-4)


def test_wilson_interval_of_nothing() -> None:
    assert all(math.isnan(bound) for bound in wilson_interval(0, 0))


def test_median_steps_counts_unsolved_runs_as_never() -> None:
    assert median_steps([300, 100, None]) == 300
    assert median_steps([100, 200, 300, None]) == 250
    assert median_steps([100, None]) == math.inf
    assert median_steps([None, None]) == math.inf
    assert math.isnan(median_steps([]))
