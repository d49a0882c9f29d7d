"""The interval that assumes no curve: by hand, and its coverage where curves are not logistic."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit
from staircases import rates_along

from seqbench.results.statistics.falling import falling_interval


def test_ends_are_tried_spans_on_both_sides_of_the_fall() -> None:
    assert falling_interval({10: (8, 8), 20: (8, 8), 28: (1, 8), 40: (0, 8)}) == (20, 28)
    # Six of eight are not more than one half for sure: twice ln(0.75^6 0.25^2 / 0.5^8) is 2.1.
    assert falling_interval({10: (8, 8), 20: (6, 8), 40: (0, 8)}) == (10, 40)
    # Seven are: 5.1 is above 3.84.
    assert falling_interval({10: (8, 8), 20: (7, 8), 40: (0, 8)}) == (20, 40)


def test_neighbours_count_together() -> None:
    # Five of eight are no more than one half for sure, be it at one span or at three: 0.5 and 1.5. Of four
    # times as many runs one span gives 2.0, two give 4.0.
    few = {10: (8, 8), 20: (5, 8), 28: (5, 8), 40: (5, 8), 80: (0, 8)}
    many = {span: (4 * solved, 4 * n) for span, (solved, n) in few.items()}
    assert falling_interval(few) == (10, 80)
    assert falling_interval(many) == (28, 80)


def test_a_lower_level_is_narrower() -> None:
    outcomes = {10: (8, 8), 20: (6, 8), 40: (0, 8)}
    assert falling_interval(outcomes, level=0.8) == (20, 40)


def test_open_ends() -> None:
    assert falling_interval({10: (5, 5)}) == (10, math.inf)
    assert falling_interval({10: (0, 5)}) == (0, 10)
    assert falling_interval({10: (2, 5)}) == (0, math.inf)
    assert falling_interval({10: (5, 5), 20: (5, 5), 400: (5, 5)}) == (400, math.inf)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 8, 16])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.6])
def test_coverage_on_a_plateau(share: float, n: int) -> None:
    def rate(span: float) -> float:
        early, late = (float(expit(8 * math.log2(limit / span))) for limit in (40, 350))
        return share * early + (1 - share) * late

    span = 2 ** brentq(lambda log_span: rate(2**log_span) - 0.5, 3, 10)
    intervals = [falling_interval(outcomes) for outcomes in rates_along(rate, n, repeats=200)]
    assert np.mean([low <= span <= high for low, high in intervals]) >= 0.93
