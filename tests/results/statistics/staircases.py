"""Simulated staircases: seeds that solve a task up to a threshold of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from seqbench.results.statistics.span import Span
from seqbench.results.statistics.staircase import next_runs

LEAST, MOST = 10, 400
#: The standard deviation of seeds' thresholds, in octaves.
SPREAD = 0.25


def staircases(
    span: float,
    slope: float,
    n_seeds: int,
    whole: bool,
    repeats: int,
    lapse: float = 0.0,
    most_seeds: int | None = None,
) -> Iterator[dict[int, np.ndarray]]:
    """Yield simulated staircases: at each span which seeds solved the task.

    A run solves the task with log-odds `slope` times the octaves between its seed's threshold and the span,
    but for the share `lapse` of runs, which fail anyhow. Thresholds are lognormal, with a standard deviation
    of a quarter of an octave, so that half of the runs solve the task at `span`. With `whole` a seed has one
    threshold at all spans; without it a new one at each, as where it starts from fresh weights and data. With
    `most_seeds` more seeds run where the rate falls, if the interval is wide; not with `whole`.
    """
    rng = np.random.default_rng([round(span), round(10 * slope), n_seeds, whole, round(100 * lapse)])
    centre = math.log2(span) - _half_point(slope, lapse)
    for _ in range(repeats):
        seeds = rng.normal(0, SPREAD, n_seeds)
        runs: dict[int, np.ndarray] = {}
        outcomes: dict[int, tuple[int, int]] = {}
        while tried := next_runs(outcomes, LEAST, MOST, n_seeds, most_seeds or n_seeds):
            for length, n in tried.items():
                before = runs.get(length, np.empty(0, bool))
                effect = seeds if whole else rng.normal(0, SPREAD, n - len(before))
                p = (1 - lapse) * expit(slope * (centre - math.log2(length) + effect))
                runs[length] = np.concatenate([before, rng.random(len(p)) < p])
                outcomes[length] = (int(runs[length].sum()), n)
        yield runs


def rates_along(
    rate: Callable[[float], float], n: int, repeats: int, most_n: int | None = None
) -> Iterator[dict[int, tuple[int, int]]]:
    """Yield the outcomes of simulated staircases of independent runs, for any solve rate of a span."""
    rng = np.random.default_rng(n)
    for _ in range(repeats):
        outcomes: dict[int, tuple[int, int]] = {}
        while tried := next_runs(outcomes, LEAST, MOST, n, most_n or n):
            for span, runs in tried.items():
                solved, before = outcomes.get(span, (0, 0))
                outcomes[span] = (solved + rng.binomial(runs - before, rate(span)), runs)
        yield outcomes


def _half_point(slope: float, lapse: float) -> float:
    """Return how many octaves from the mean threshold half of all runs solve the task."""
    effects = SPREAD * norm.ppf((np.arange(500) + 0.5) / 500)
    return brentq(lambda x: (1 - lapse) * expit(slope * (effects - x)).mean() - 0.5, -5, 5)


def covers(fit: Span, span: float) -> bool:
    """Return whether the interval holds a span; an end of 0 or infinity means beyond the tried spans."""
    if fit.low == math.inf:
        return span > fit.most
    if fit.high == 0:
        return span < fit.least
    return fit.low <= span <= fit.high
