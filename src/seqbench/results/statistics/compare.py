"""Is one model better than another? Tests of a metric over seeds, and of many comparisons together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

#: How many permutations are drawn where there are too many to count all: 7 against 7 are still counted.
RESAMPLES = 9_999
#: The error of a difference of means, over the largest value: metrics are means in single precision.
ROUNDING = 4 * 2.0**-24


@dataclass(frozen=True)
class Permutation:
    """A permutation test of the difference of means.

    Attributes:
        difference: the mean of the first less that of the second.
        p: the two-sided p-value.
        least_p: the smallest p-value that so many seeds can give.
        paired: whether the seeds were paired.
    """

    difference: float
    p: float
    least_p: float
    paired: bool


def permutation_test(a: Sequence[float], b: Sequence[float], paired: bool = False) -> Permutation:
    """Test whether a metric of two models has one distribution over seeds (Fisher, 1935; Pitman, 1937).

    The p-value is exact where all permutations can be counted, and that of 9,999 drawn ones otherwise, the
    same at every call. It holds for any distribution: no more than 5 % of tests of equal models give 0.05 or
    less. With few seeds it cannot be small: 5 against 5 give 0.008 at the least, paired 0.0625; 3 against 3
    give 0.1. Permutations whose difference is as large as the observed one count as that large, up to the
    rounding of values in single precision: counts of right answers, over their number, often tie.

    Args:
        a: the metric of each seed of the first model.
        b: that of the second.
        paired: whether the seeds pair up, as where both models saw the same data in the same order.

    Raises:
        ValueError: fewer than two values of a model, or pairs of unequal number.
    """
    if min(len(a), len(b)) < 2 or (paired and len(a) != len(b)):
        pairs = " of equal number" if paired else ""
        raise ValueError(
            f"a permutation test needs two seeds of each model{pairs}; there are {len(a)} and {len(b)}"
        )
    found = stats.permutation_test(
        (np.asarray(a, dtype=float), np.asarray(b, dtype=float)),
        _difference,
        permutation_type="samples" if paired else "independent",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )
    observed, null = float(found.statistic), found.null_distribution
    rounding = ROUNDING * max(abs(value) for value in (*a, *b))
    # Where permutations are drawn the observed one is among them.
    drawn = _ways(len(a), len(b), paired) > RESAMPLES
    sides = (null <= observed + rounding).sum(), (null >= observed - rounding).sum()
    p = min(1.0, 2 * (int(min(sides)) + drawn) / (len(null) + drawn))
    return Permutation(observed, p, least_p(len(a), len(b), paired), paired)


def least_p(n_a: int, n_b: int, paired: bool = False) -> float:
    """Return the smallest p-value that a permutation test of so many seeds can give."""
    # Two-sided is twice the smaller side, and drawn permutations count the observed one among them.
    return 2 / min(_ways(n_a, n_b, paired), RESAMPLES + 1)


def _ways(n_a: int, n_b: int, paired: bool) -> int:
    """Return how many permutations of so many seeds there are."""
    return 2**n_a if paired else math.comb(n_a + n_b, n_a)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm, 1979, Scandinavian Journal of Statistics 6).

    Those that are at most 0.05 after it are, with a probability of 95 %, all true differences, whatever the
    tests have in common.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _difference(a: NDArray[np.float64], b: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    return np.asarray(a.mean(axis=axis) - b.mean(axis=axis))
