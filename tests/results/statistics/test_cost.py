"""How cost grows with the span."""

import math

import pytest
from scipy import stats

from seqbench.results.statistics.cost import cost_growth


def test_a_power_law_is_found_exactly() -> None:
    growth = cost_growth({10: [100.0], 20: [400.0], 40: [1600.0]})
    assert (growth.exponent, growth.low, growth.high) == pytest.approx((2, 2, 2))
    assert (growth.runs, growth.unsolved, growth.least, growth.most) == (3, 0, 10, 40)


def test_interval_by_hand() -> None:
    # x = 0, 1, 2 octaves, y = 0, 1.2, 1.8: slope 0.9, residuals −0.1, 0.2, −0.1, s² = 0.06, se = √0.03.
    growth = cost_growth({1: [1.0], 2: [2**1.2, None], 4: [2**1.8, None]})
    half = stats.t.ppf(0.975, 1) * math.sqrt(0.03)
    assert (growth.exponent, growth.low, growth.high) == pytest.approx((0.9, 0.9 - half, 0.9 + half))
    assert growth.unsolved == 2
    assert str(growth) == "0.9 [-1.3–3.1], 2 unsolved left out"


def test_too_little_has_no_exponent() -> None:
    for costs in ({}, {10: [1.0, 2.0, 3.0]}, {10: [1.0], 20: [2.0]}, {10: [1.0, 1.0], 20: [None]}):
        growth = cost_growth(costs)
        assert math.isnan(growth.exponent) and math.isnan(growth.low)
        assert str(growth) == "–"


def test_costs_are_above_zero() -> None:
    with pytest.raises(ValueError, match="above zero"):
        cost_growth({10: [0.0]})


def test_equal_costs_do_not_grow() -> None:
    growth = cost_growth({10: [5, 5], 20: [5, 5]})
    assert (growth.exponent, growth.low, growth.high) == (0, 0, 0)
