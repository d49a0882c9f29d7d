"""Solve rates against published numbers, and the coverage that their docstrings give."""

import math

import numpy as np
import pytest
from scipy import stats

from seqbench.results.statistics.proportion import (
    boschloo,
    compare_rates,
    least_told,
    newcombe_interval,
    wilson_interval,
)


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


@pytest.mark.parametrize(("n", "mean", "least"), [(3, 0.956, 0.828), (5, 0.955, 0.832), (10, 0.954, 0.842)])
def test_coverage_of_wilson_interval(n: int, mean: float, least: float) -> None:
    rates, solved = np.linspace(0.001, 0.999, 999), np.arange(n + 1)[:, None]
    low, high = np.array([wilson_interval(k, n) for k in range(n + 1)]).T[:, :, None]
    covered = (stats.binom.pmf(solved, n, rates) * ((low <= rates) & (rates <= high))).sum(axis=0)
    assert (covered.mean(), covered.min()) == pytest.approx((mean, least), abs=1e-3)


def test_coverage_of_the_difference() -> None:
    n, rates = 5, np.linspace(0.01, 0.99, 99)
    ends = np.array([[newcombe_interval(a, n, b, n) for b in range(n + 1)] for a in range(n + 1)])
    low, high = np.moveaxis(ends, -1, 0)[..., None, None]
    mass = stats.binom.pmf(np.arange(n + 1)[:, None], n, rates)
    true = rates[:, None] - rates
    within = (low <= true + 1e-12) & (true - 1e-12 <= high)
    covered = np.einsum("ap,bq,abpq->pq", mass, mass, within)
    assert (covered.mean(), covered.min()) == pytest.approx((0.953, 0.860), abs=1e-3)


def test_difference_as_published() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 873, table II, method 10.
    for (a, n_a, b, n_b), ends in {
        (56, 70, 48, 80): (0.0524, 0.3339),
        (9, 10, 3, 10): (0.1705, 0.8090),
        (10, 10, 0, 10): (0.6075, 1.0),
    }.items():
        assert newcombe_interval(a, n_a, b, n_b) == pytest.approx(ends, abs=1e-4)


def test_what_few_seeds_can_tell() -> None:
    assert compare_rates(5, 5, 0, 5).p == pytest.approx(2 * 0.25**5)
    assert compare_rates(4, 5, 1, 5).p == pytest.approx(0.109, abs=5e-4)
    assert compare_rates(4, 5, 1, 5).least_p == pytest.approx(2 * 0.25**5)
    assert [least_told(n) for n in (2, 3, 5)] == [None, 3, 4]


def test_equal_rates_differ_by_chance() -> None:
    for a, n_a, b, n_b in ((0, 5, 0, 5), (5, 5, 5, 5), (0, 3, 0, 5), (3, 5, 3, 5)):
        assert boschloo(a, n_a, b, n_b) == 1


def test_what_are_no_counts_is_refused() -> None:
    for counts in ((6, 5, 0, 5), (0, 0, 0, 5), (1, 5, -1, 5)):
        with pytest.raises(ValueError, match="no counts of solved runs"):
            compare_rates(*counts)
