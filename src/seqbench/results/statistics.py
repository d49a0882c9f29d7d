"""Statistics of a few seeds: means and proportions with their intervals, and medians."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median, stdev

from scipy import stats


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean and the bounds of Student's interval, mean ± t₍ₙ₋₁₎ · s / √n (Student, 1908).

    It keeps its nominal coverage with three seeds, where the percentile bootstrap and 1.96 standard errors do
    not. One value has no bounds (nan). Without values the mean is nan too.
    """
    n = len(values)
    mean = fmean(values) if n else math.nan
    if n < 2:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * stdev(values) / math.sqrt(n)
    return mean, mean - half, mean + half


def wilson_interval(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the bounds of the score interval for a proportion (Wilson, 1927); nan if n is 0.

    Unlike the normal interval it stays inside [0, 1] and has a width above zero at 0 and n successes.
    """
    if n == 0:
        return math.nan, math.nan
    interval = stats.binomtest(successes, n).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


def median_steps(solved_at: Iterable[int | None]) -> float:
    """Return the median number of steps to solve. An unsolved run (None) counts as infinity.

    The median is infinite if half of the runs or more did not solve the task, and nan if there is no run.
    """
    steps = [math.inf if step is None else step for step in solved_at]
    return float(median(steps)) if steps else math.nan
