"""Summaries of a metric over seeds, and the numbers that decided for them."""

import math

import numpy as np
import pytest
from seed_distributions import CANDIDATES, FAMILY, coverage

from seqbench.results.statistics.metrics import LEAST_COVERAGE, median_ranks, summarise, t_interval


def test_interval_of_the_median_lies_between_values() -> None:
    five = summarise([0.9, 0.25, 1.0, 0.8, 0.95])
    assert (five.n, five.median, five.least, five.largest) == (5, 0.9, 0.25, 1.0)
    assert (five.low, five.high, five.coverage) == (0.25, 1.0, 0.9375)
    ten = summarise(range(10))
    # The second and the ninth: 1 − 2 (1 + 10) / 2¹⁰.
    assert (ten.median, ten.low, ten.high, ten.coverage) == (4.5, 1, 8, pytest.approx(1 - 22 / 1024))
    assert (median_ranks(8), median_ranks(20)) == ((0, 7), (5, 14))


def test_few_seeds_have_no_interval_and_two_no_summary() -> None:
    four = summarise([4, 1, 3, 2])
    assert (four.median, four.least, four.largest) == (2.5, 1, 4)
    assert math.isnan(four.low) and math.isnan(four.high) and math.isnan(four.coverage)
    for values in ([], [1.0], [1.0, 2.0]):
        two = summarise(values)
        assert two.n == len(values)
        assert math.isnan(two.median) and math.isnan(two.least) and math.isnan(two.low)


@pytest.mark.parametrize("name", ["normal", "near one, beta(20, 0.5)", "solved or chance, 80 %"])
def test_it_covers_on_the_family(name: str) -> None:
    assert coverage("order statistics, median", FAMILY[name], 5, 1000)[0] > LEAST_COVERAGE - 0.025


@pytest.mark.slow
@pytest.mark.parametrize(
    ("candidate", "repeats", "mean", "least"),
    [  # at 3, 5, 10 and 20 seeds, in %
        ("order statistics, median", 2000, (75, 94, 98, 96), (74, 93, 97, 95)),
        ("BCa, median", 200, (75, 94, 92, 94), (72, 92, 89, 91)),
        ("t on logit or log, median", 2000, (95, 95, 87, 77), (88, 84, 35, 2)),
        ("t, mean", 2000, (65, 71, 79, 88), (17, 23, 40, 63)),
        ("BCa, mean", 200, (53, 67, 78, 88), (14, 24, 39, 63)),
        ("Hoeffding, mean", 500, (100, 100, 100, 100), (100, 100, 100, 100)),
    ],
)
def test_the_table_that_decided(
    candidate: str, repeats: int, mean: tuple[float, ...], least: tuple[float, ...]
) -> None:
    assert candidate in CANDIDATES
    for n, its_mean, its_least in zip((3, 5, 10, 20), mean, least, strict=True):
        found = [100 * coverage(candidate, seeds, n, repeats)[0] for seeds in FAMILY.values()]
        assert np.mean(found) == pytest.approx(its_mean, abs=3)
        assert min(found) == pytest.approx(its_least, abs=8)


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
