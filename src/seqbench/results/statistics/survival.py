"""Steps to solve as survival times: runs that did not solve their task are censored, not left out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from seqbench.results.statistics.compare import permutation_test
from seqbench.results.statistics.metrics import median_ranks


@dataclass(frozen=True)
class Survival:
    """The share of runs that have not solved the task after a number of steps.

    Attributes:
        steps: the steps at which runs solved the task, ascending, (events,).
        share: the share not yet solved from that step on, (events,).
        low: the lower bounds of the shares, (events,); nan at a share of 0.
        high: the upper bounds of the shares, (events,); nan at a share of 0.
        median: the median number of steps to solve; infinite if it was not reached, nan without runs.
        median_low: the lower end of its interval, the budget if no run counts in it; nan under five runs.
        median_high: the upper end of its interval; infinite if it was not reached, nan under five runs.
    """

    steps: NDArray[np.float64]
    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    median: float
    median_low: float
    median_high: float


def kaplan_meier(solved_at: Sequence[int | None], budgets: Sequence[int], level: float = 0.95) -> Survival:
    """Return the Kaplan–Meier estimate (1958) with its pointwise log-log interval, and the median.

    The median's interval lies between two of the runs, as in `metrics.summarise`, with the same coverage:
    93 % at least, whatever the distribution. For it an unsolved run may have ended anywhere after its budget.
    The interval that is read off the curve's bounds (Brookmeyer & Crowley, 1982) is not used: with three to
    five runs it is always open upwards, even where all solve the task, and with three it covers 84 to 90 %.

    Coverage of the curve's bounds where 80, 50 and 20 % have not solved the task yet (500 simulations,
    lognormal steps, where there are bounds: not before the first solved run, nor after the last), in %:

        runs    80 %    50 %    20 %
        5       93      100     99
        10      97      94      100
        20      96      98      98

    Args:
        solved_at: the step at which each run solved the task; None for one that did not.
        budgets: the steps that each run was given. Censoring must say nothing of a run: one that its own
            setting ended before, as it diverged or its patience was over, has its whole budget too.
        level: the confidence level of the curve's bounds.
    """
    events = [step for step in solved_at if step is not None]
    found = stats.ecdf(_censored(solved_at, budgets)).sf if events else None
    if found is None:
        steps = share = low = high = np.empty(0)
    else:
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # there is no bound at a share of 0
            bounds: Any = found.confidence_interval(level, method="log-log")
        event = np.isin(found.quantiles, events)
        steps, share = found.quantiles[event].astype(float), found.probabilities[event]
        low, high = bounds.low.probabilities[event], bounds.high.probabilities[event]
    median_low, median_high = _median_interval(solved_at, budgets)
    middle = _middle(steps, share) if solved_at else math.nan
    return Survival(steps, share, low, high, middle, median_low, median_high)


def log_rank(
    a: Sequence[int | None], a_budgets: Sequence[int], b: Sequence[int | None], b_budgets: Sequence[int]
) -> float:
    """Return the p-value of the log-rank test that two models take equally many steps (Mantel, 1966).

    The statistic, solved less expected, is a sum of scores of the runs, so that it has an exact permutation
    test: no more than 5 % of tests of equal models give 0.05 or less. The χ² of `scipy.stats.logrank` gives
    it in 11 % of them with three seeds each and in 6 % with five (600 simulations, lognormal steps).

    Args:
        a: the step at which each run of the first model solved the task; None for one that did not.
        a_budgets: the steps that each run of it was given, see `kaplan_meier`.
        b: those of the second model.
        b_budgets: the budgets of the second model.

    Raises:
        ValueError: a model with fewer than two runs.
    """
    solved = np.array([step is not None for step in (*a, *b)])
    runs = zip((*a, *b), (*a_budgets, *b_budgets), strict=True)
    ends = np.array([budget if step is None else step for step, budget in runs])
    # The hazard that each run has lived through (Nelson–Aalen): the sum of solved / at risk until its end.
    steps, counts = np.unique(ends[solved], return_counts=True)
    lived = ends[:, None] >= steps  # (runs, steps)
    hazard = lived @ (counts / lived.sum(axis=0))
    scores = solved - hazard
    return permutation_test(scores[: len(a)].tolist(), scores[len(a) :].tolist()).p


def _censored(solved_at: Sequence[int | None], budgets: Sequence[int]) -> stats.CensoredData:
    """Return the steps of the runs; those of an unsolved run are its budget, censored."""
    runs = list(zip(solved_at, budgets, strict=True))
    return stats.CensoredData(
        uncensored=[step for step, _ in runs if step is not None],
        right=[budget for step, budget in runs if step is None],
    )


def _median_interval(solved_at: Sequence[int | None], budgets: Sequence[int]) -> tuple[float, float]:
    """Return the order statistics about the median: an unsolved run ends at its budget, and never."""
    if (ranks := median_ranks(len(solved_at))) is None:
        return math.nan, math.nan
    runs = list(zip(solved_at, budgets, strict=True))
    earliest = sorted(budget if step is None else step for step, budget in runs)
    latest = sorted(math.inf if step is None else step for step, _ in runs)
    return float(earliest[ranks[0]]), float(latest[ranks[1]])


def _middle(steps: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """Return where the share passes one half; the middle of where it is one half, as in a plain median."""
    first, after = steps[share < 0.5 + 1e-12], steps[share < 0.5 - 1e-12]
    return float(first[0] + after[0]) / 2 if len(after) else math.inf
