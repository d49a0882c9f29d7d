"""Models over many tasks: one score with its interval, and ranks with the difference that counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 4_999


def interquartile_mean(tasks: Sequence[Sequence[float]], level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of the middle half of all runs of a model, and its interval (Agarwal et al., 2021).

    The interval is a percentile bootstrap over seeds, stratified by task as in rliable: the tasks are those
    that they are, and only the seeds stand for others. The percentiles are spread as Student's t asks for
    with so few seeds (Hesterberg, 2015, The American Statistician 69). Under five seeds it has no interval
    (nan). Scores must be comparable between tasks: shares, or scaled to baseline and best. A quarter of the
    runs at each end do not count, failures included: read it beside solve rates.

    Coverage on draws of 1, 3 and 8 tasks from a family of seed distributions with and without two modes
    (tests/results/statistics/seed_distributions.py), mean over draws (least), 1,200 simulations each, in %;
    "plain" is the bootstrap of rliable:

        tasks   3 seeds, plain   5 seeds, plain   5 seeds      10 seeds
        1       74 (66)          90 (80)          93 (85)      97 (95)
        3       79 (69)          85 (81)          93 (87)      97 (95)
        8       86 (81)          90 (87)          97 (95)      96 (95)

    Args:
        tasks: for each task the score of every seed.
        level: the confidence level.

    Raises:
        ValueError: no task, or a task with fewer than three seeds.
    """
    if not tasks or min(len(seeds) for seeds in tasks) < 3:
        raise ValueError("the interquartile mean over tasks needs three seeds or more on every task")
    samples = [np.asarray(seeds, dtype=float) for seeds in tasks]
    mean = float(_middle_mean(*samples))
    n = min(len(seeds) for seeds in samples)
    if n < 5:
        return mean, math.nan, math.nan
    z = math.sqrt(n / (n - 1)) * stats.t.ppf((1 + level) / 2, n - 1)
    found = stats.bootstrap(
        samples,
        _middle_mean,
        n_resamples=RESAMPLES,
        vectorized=True,
        confidence_level=float(1 - 2 * stats.norm.sf(z)),
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return mean, float(found.confidence_interval.low), float(found.confidence_interval.high)


@dataclass(frozen=True)
class Ranks:
    """Models by their average rank over tasks, the best (1) first.

    Attributes:
        models: the names, best first.
        ranks: their average ranks.
        p: the p-value of Friedman's test that all models are equal.
        critical_difference: how far two average ranks must lie apart to differ (Nemenyi).
        groups: runs of models, in this order, of which no two differ: the bars of a critical-difference
            diagram. A model that differs from all others is in none.
    """

    models: tuple[str, ...]
    ranks: tuple[float, ...]
    p: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]


def average_ranks(
    scores: Mapping[str, Sequence[float]], higher: Sequence[bool], level: float = 0.95
) -> Ranks:
    """Rank models on every task and compare their average ranks (Demšar, 2006, JMLR 7).

    The critical difference is q √(k (k+1) / 6N) for k models on N tasks, q the quantile of the studentised
    range over √2. Few tasks tell little: with four models and five tasks it is 2.1 of 3 ranks. Both tests are
    asymptotic and err on the safe side where tasks are few: of 3,000 comparisons of three to eight equal
    models, Friedman's p is 0.05 or less in 2 to 3 % with three tasks, 3 to 4 % with five and 3 to 5 % with
    ten, and two ranks differ by the critical difference in 1 to 3 %, 3 to 4 % and 3 to 5 %.

    Args:
        scores: for each model its score on every task, in one order.
        higher: for each task whether a higher score is better.
        level: the confidence level of the critical difference.

    Raises:
        ValueError: fewer than three models or two tasks, or a model without a score on a task.
    """
    models = list(scores)
    if len(models) < 3 or len(higher) < 2:
        raise ValueError("average ranks compare three models or more on two tasks or more")
    if any(len(scores[model]) != len(higher) or np.isnan(scores[model]).any() for model in models):
        raise ValueError("average ranks need a score of every model on every task")
    table = np.array([scores[model] for model in models], dtype=float).T  # (tasks, models)
    signed = np.where(np.asarray(higher)[:, None], -table, table)
    mean_ranks = stats.rankdata(signed, axis=1).mean(axis=0)
    k, n = len(models), len(higher)
    quantile = float(stats.studentized_range.ppf(level, k, math.inf)) / math.sqrt(2)
    critical = quantile * math.sqrt(k * (k + 1) / (6 * n))
    order = np.argsort(mean_ranks, kind="stable")
    ranked = mean_ranks[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        p = float(stats.friedmanchisquare(*signed.T).pvalue)
    return Ranks(
        models=tuple(models[i] for i in order),
        ranks=tuple(ranked.tolist()),
        p=1.0 if math.isnan(p) else p,  # every task ties all models
        critical_difference=critical,
        groups=tuple(tuple(models[i] for i in order[a:b]) for a, b in _groups(ranked, critical)),
    )


def _groups(ranked: NDArray[np.float64], critical: float) -> list[tuple[int, int]]:
    """Return the longest slices of ascending ranks that span less than the critical difference."""
    slices: list[tuple[int, int]] = []
    for start in range(len(ranked)):
        stop = int(np.searchsorted(ranked, ranked[start] + critical))
        if stop - start > 1 and (not slices or stop > slices[-1][1]):
            slices.append((start, stop))
    return slices


def _middle_mean(*tasks: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return the mean of the middle half of all values."""
    return np.asarray(stats.trim_mean(np.concatenate(tasks, axis=axis), 0.25, axis=axis))
