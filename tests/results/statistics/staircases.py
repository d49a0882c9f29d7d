"""Simulated staircases: seeds that solve a task up to a threshold of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit

from seqbench.results.statistics.span import Outcomes
from seqbench.results.statistics.staircase import next_spans

LEAST, MOST = 10, 400


def staircase(solves: Callable[[int], np.ndarray], least: int = LEAST, most: int = MOST) -> Outcomes:
    """Return the outcomes of a whole staircase; `solves` says for a span which seeds solve it."""
    outcomes: dict[int, tuple[int, int]] = {}
    while spans := next_spans(outcomes, least, most):
        for span in spans:
            solved = solves(span)
            outcomes[span] = (int(solved.sum()), len(solved))
    return outcomes


def staircases(
    span: float, slope: float, n_seeds: int, whole: bool, repeats: int, spread: float = 0.25
) -> Iterator[Outcomes]:
    """Yield simulated staircases.

    A run solves the task with log-odds `slope` times the octaves between its seed's threshold and the span.
    Thresholds are lognormal about the true span. With `whole` a seed has one threshold at all spans; without
    it, a new one at each, as where a seed starts from fresh weights at each span.
    """
    rng = np.random.default_rng([round(span), round(10 * slope), n_seeds, whole])
    for _ in range(repeats):
        seeds = rng.normal(0, spread, n_seeds)

        def solves(tried: int, seeds: np.ndarray = seeds) -> np.ndarray:
            effect = seeds if whole else rng.normal(0, spread, n_seeds)
            return rng.random(n_seeds) < expit(slope * (math.log2(span / tried) + effect))

        yield staircase(solves)
