"""Solve rates: a proportion with its interval, and the difference of two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from scipy import stats


@dataclass(frozen=True)
class Difference:
    """The difference of two solve rates, first less second.

    Attributes:
        difference: the difference of the proportions.
        low: the lower end of its 95 % interval.
        high: the upper end of its 95 % interval.
        p: the two-sided p-value of the exact test that the rates are equal.
        least_p: the smallest p-value that so many runs can give: all against none.
    """

    difference: float
    low: float
    high: float
    p: float
    least_p: float


def wilson_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the bounds of the score interval for a proportion (Wilson, 1927); nan if n is 0.

    Unlike the normal interval it stays inside [0, 1] and has a width above zero at 0 and n successes.

    Coverage over all rates P, exact, in %; the least is at a P close to 0 or 1:

        n       3       5       8       10      20
        mean    95.6    95.5    95.4    95.4    95.3
        least   82.8    83.2    83.7    84.2    85.2
    """
    if n == 0:
        return math.nan, math.nan
    interval = stats.binomtest(successes, n).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


def compare_rates(a: int, n_a: int, b: int, n_b: int) -> Difference:
    """Return the difference of two solve rates, a of n_a less b of n_b, and whether it can be chance.

    Raises:
        ValueError: no runs, or counts that are not 0 ≤ solved ≤ n.
    """
    if not (0 <= a <= n_a and 0 <= b <= n_b and n_a and n_b):
        raise ValueError(f"{a} of {n_a} and {b} of {n_b} are no counts of solved runs")
    low, high = newcombe_interval(a, n_a, b, n_b)
    return Difference(
        a / n_a - b / n_b, low, high, p=boschloo(a, n_a, b, n_b), least_p=boschloo(n_a, n_a, 0, n_b)
    )


def newcombe_interval(a: int, n_a: int, b: int, n_b: int, level: float = 0.95) -> tuple[float, float]:
    """Return the bounds of the difference of two proportions, a of n_a less b of n_b.

    It joins two Wilson intervals (Newcombe, 1998, Statistics in Medicine 17, 873, method 10). Coverage over
    all pairs of rates, exact, in %; the least is where both are close to 0 or 1:

        n of each   3       5       10      20
        mean        95.2    95.3    95.3    95.2
        least       83.2    86.0    87.9    88.0
    """
    rate_a, rate_b = a / n_a, b / n_b
    low_a, high_a = wilson_interval(a, n_a, level)
    low_b, high_b = wilson_interval(b, n_b, level)
    difference = rate_a - rate_b
    return (
        difference - math.hypot(rate_a - low_a, high_b - rate_b),
        difference + math.hypot(high_a - rate_a, rate_b - low_b),
    )


@cache
def boschloo(a: int, n_a: int, b: int, n_b: int) -> float:
    """Return the two-sided p-value that a of n_a and b of n_b have one rate, by Boschloo's exact test (1970).

    Of tests of equal rates never more than 5 % give 0.05 or less, and it finds more than Fisher's.
    """
    if a in (0, n_a) and b == a * n_b / n_a:  # all or none of both: scipy gives nan
        return 1.0
    return float(stats.boschloo_exact([[a, b], [n_a - a, n_b - b]]).pvalue)


def least_told(n: int, level: float = 0.05) -> int | None:
    """Return how many of n runs must solve, where none of n others does, for p below a level; None for never.

    It says what so few seeds can tell: 3 of 3, 4 of 4, 4 of 5, 4 of 10, 5 of 20; two seeds tell nothing.
    """
    return next((solved for solved in range(1, n + 1) if boschloo(solved, n, 0, n) < level), None)
