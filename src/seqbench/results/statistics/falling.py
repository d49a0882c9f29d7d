"""An interval of the span at 50 % that assumes no curve, only that the rate falls."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import xlogy
from scipy.stats import chi2

from seqbench.results.statistics.span import Outcomes


def falling_interval(outcomes: Outcomes, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the span at which half of the runs solve the task, whatever the curve.

    The likelihood ratio of Banerjee & Wellner (2001, Annals of Statistics 29): the largest likelihood of
    rates that fall, against that of rates that also are at least one half before the 50 % point and at most
    one half behind it. The interval holds every point of which twice the difference of the logarithms is at
    most the quantile of χ² with one degree of freedom, which is on the safe side of their limit for many
    runs. Between two tried spans nothing tells points apart, so that the ends are tried spans.

    Coverage with the staircase's own choice of spans (`next_spans` from 10 to 400) and five seeds: on
    logistic curves of slope 2, 8 and 30 an octave 99, 100 and 100 % (98 at the least of eight true spans; 200
    simulations each), at a median width of a factor of 4, 2 and 1.4. On the plateaus of `goodness_of_fit` 93
    to 100 % with five seeds, 98 to 100 % with eight and 95 to 100 % with 8 to 16, at widths of 2.9 to 13.
    From eight seeds on the staircase went on until nothing was solved at two spans in a row, not one.

    Args:
        outcomes: as for `fit_span`; the runs must be independent.
        level: the confidence level.

    Returns:
        The ends; 0 and infinity for what lies outside of the spans tried.
    """
    spans = sorted(outcomes)
    solved, n = np.array([outcomes[span] for span in spans], dtype=float).T
    largest = _likelihood(solved, n, _falling(solved, n))
    ends = [0, *spans, math.inf]
    kept = []
    for before in range(len(spans) + 1):
        high = np.maximum(_falling(solved[:before], n[:before]), 0.5)
        low = np.minimum(_falling(solved[before:], n[before:]), 0.5)
        ratio = 2 * (largest - _likelihood(solved, n, np.concatenate([high, low])))
        if ratio <= chi2.ppf(level, 1):
            kept.append(before)
    return ends[kept[0]], ends[kept[-1] + 1]


def _falling(solved: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the most likely rates that nowhere rise, (spans,)."""
    if not len(n):
        return n
    return np.asarray(isotonic_regression(solved / n, weights=n, increasing=False).x)


def _likelihood(solved: NDArray[np.float64], n: NDArray[np.float64], rates: NDArray[np.float64]) -> float:
    """Return the log-likelihood of rates, (spans,), none of which rules out what was seen."""
    return float(np.sum(xlogy(solved, rates) + xlogy(n - solved, 1 - rates)))
