"""Steps to solve against closed forms and scipy."""

import math
from statistics import median

import numpy as np
import pytest
from scipy import stats

from seqbench.results.statistics.survival import kaplan_meier, log_rank

#: Remission in weeks with 6-mercaptopurine and with placebo (Freireich et al., 1963); None: censored.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
EVENTS = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
REMISSION = [week if event else None for week, event in zip(WEEKS, EVENTS, strict=True)]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_kaplan_meier_by_hand() -> None:
    curve = kaplan_meier(REMISSION, WEEKS)
    assert curve.steps.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.share.tolist() == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
    # Greenwood's variance of log(−log S) after the first three events: 3 of 21, 1 of 17, 1 of 15 at risk.
    share = 18 / 21 * 16 / 17 * 14 / 15
    spread = math.sqrt(3 / (21 * 18) + 1 / (17 * 16) + 1 / (15 * 14)) / -math.log(share)
    bounds = [share ** math.exp(z * spread) for z in (1.959964, -1.959964)]
    assert [curve.share[2], curve.low[2], curve.high[2]] == pytest.approx([share, *bounds], abs=1e-6)
    assert (curve.median, curve.median_high) == (23, math.inf)


def test_median_is_the_plain_one_under_one_budget() -> None:
    for steps in ([300, 100, None], [100, 200, 300, None], [100, None], [None, None], [5, 5, 7, 9, None]):
        plain = median(math.inf if step is None else step for step in steps)
        assert kaplan_meier(steps, [500] * len(steps)).median == plain


def test_median_lies_between_runs() -> None:
    curve = kaplan_meier([1, 2, 3, 4, 5], [9] * 5)
    assert (curve.median_low, curve.median, curve.median_high) == (1, 3, 5)
    curve = kaplan_meier([100, 200, 300, 400, None], [500] * 5)
    assert (curve.median_low, curve.median, curve.median_high) == (100, 300, math.inf)
    curve = kaplan_meier([None] * 5, [500] * 5)
    assert (curve.median_low, curve.median, curve.median_high) == (500, math.inf, math.inf)
    assert math.isnan(kaplan_meier([1, 2, 3, 4], [9] * 4).median_low)


def test_without_runs_there_is_nothing() -> None:
    curve = kaplan_meier([], [])
    assert curve.steps.size == 0
    assert math.isnan(curve.median)


def test_log_rank_is_that_of_scipy_where_runs_are_many() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.exponential(1000, 60).astype(int) + 1, rng.exponential(1350, 60).astype(int) + 1
    solved = [[int(step) if step <= 1200 else None for step in steps] for steps in (a, b)]
    data = [
        stats.CensoredData(uncensored=steps[steps <= 1200], right=np.full((steps > 1200).sum(), 1200))
        for steps in (a, b)
    ]
    p = log_rank(solved[0], [1200] * 60, solved[1], [1200] * 60)
    assert p == pytest.approx(stats.logrank(*data).pvalue, rel=0.1)
    assert 0.001 < p < 0.2


def test_log_rank_of_few_runs_is_exact() -> None:
    none, all_of_five = [None] * 5, [10, 20, 30, 40, 50]
    assert log_rank(all_of_five, [99] * 5, none, [99] * 5) == pytest.approx(2 / math.comb(10, 5))
    assert log_rank(none, [99] * 5, none, [99] * 5) == 1
    assert log_rank([3] * 5, [99] * 5, [3] * 5, [99] * 5) == 1
