"""Whether counts follow the curve: by hand, and how often curves that are logistic are taken for others."""

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom
from staircases import rates_along

from seqbench.results.statistics.goodness_of_fit import MISFIT, goodness_of_fit
from seqbench.results.statistics.span import Outcomes, fit_span

#: All at 20 and 28, half from 57 to 226, more at 320.
PLATEAU = {
    **{10: (8, 8), 20: (16, 16), 28: (15, 16), 40: (14, 16), 57: (10, 16), 80: (7, 16), 113: (8, 16)},
    **{160: (7, 16), 226: (8, 16), 320: (11, 16), 400: (5, 16)},
}
STEP = {10: (8, 8), 20: (8, 8), 40: (8, 8), 57: (7, 8), 80: (0, 8), 160: (0, 8)}


def p_of(outcomes: Outcomes) -> float:
    return goodness_of_fit(outcomes, fit_span(outcomes))


def test_a_plateau_does_not_follow_the_curve_and_a_step_does() -> None:
    assert 0.005 < p_of(PLATEAU) < 0.05
    assert p_of(STEP) > 0.3
    assert p_of(PLATEAU) == p_of(dict(reversed(PLATEAU.items())))


def test_rates_that_rise_do_not_follow_a_curve_that_falls() -> None:
    assert p_of({10: (0, 5), 20: (5, 5)}) < 0.02
    assert p_of({10: (5, 5), 20: (0, 5)}) > 0.3


def test_rates_that_lie_on_a_curve_follow_it() -> None:
    rates = expit(2 * (5 - np.log2([8, 16, 32, 64, 128])))
    exact = {span: (round(100 * p), 100) for span, p in zip([8, 16, 32, 64, 128], rates, strict=True)}
    assert p_of(exact) > 0.7


def test_one_span_has_a_curve_through_its_rate() -> None:
    # The curve takes the rate of the one span, but for its prior: any count follows it.
    assert all(p_of({20: (solved, 5)}) > 0.3 for solved in range(6))


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 8, 16])
def test_rates_that_follow_the_curve_seldom_seem_not_to(n: int) -> None:
    known: dict[tuple, float] = {}
    marked, total = 0, 0
    for span in (12, 30, 76, 190):
        for slope in (1, 2):

            def rate(tried: float, span: int = span, slope: int = slope) -> float:
                return float(expit(slope * math.log2(span / tried)))

            for outcomes in rates_along(rate, n, repeats=50):
                key = tuple(sorted(outcomes.items()))
                p = known[key] = known.get(key) or p_of(outcomes)
                marked, total = marked + (p <= MISFIT), total + 1
    # No more than chance allows where 5 % are marked, and some.
    assert 0 < marked <= binom.ppf(0.99, total, 0.05)


@pytest.mark.slow
def test_most_plateaus_are_marked() -> None:
    def rate(tried: float) -> float:
        return float(expit(8 * math.log2(40 / tried)) + expit(8 * math.log2(350 / tried))) / 2

    assert np.mean([p_of(outcomes) <= MISFIT for outcomes in rates_along(rate, 16, repeats=50)]) > 0.7
