"""How the cost to solve a task grows with its span."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Growth:
    """Cost ∝ span^exponent.

    Attributes:
        exponent: the exponent; nan where fewer than three runs or two spans have a cost.
        low: the lower end of its interval.
        high: the upper end of its interval.
        runs: the number of runs in the fit.
        unsolved: the number of runs that have no cost and are left out: the fit knows them to be costlier
            than their budget, or without end, and is too flat where they are many.
        least: the least span in the fit.
        most: the largest span in the fit.
    """

    exponent: float
    low: float
    high: float
    runs: int
    unsolved: int
    least: int
    most: int

    def __str__(self) -> str:
        """`1.21 [0.9–1.5], 2 unsolved left out`; a dash where there is no exponent."""
        if math.isnan(self.exponent):
            return "–"
        left_out = f", {self.unsolved} unsolved left out" if self.unsolved else ""
        return f"{self.exponent:.3g} [{self.low:.2g}–{self.high:.2g}]{left_out}"


def cost_growth(costs: Mapping[int, Sequence[float | None]], level: float = 0.95) -> Growth:
    """Fit log cost = constant + exponent · log span to the runs that solved the task, by least squares.

    The interval is Student's, with two degrees of freedom less than there are runs.

    Coverage of the exponent, 2,000 simulations of 5 runs at 12, 24, 48, 96 and 192 with lognormal costs about
    span^1.5 (sd 0.3 of log cost): 95.2 % where every run is counted; 68 % where the fifth of them that is
    costliest overruns a budget, as those left out are the costly ones of their span. `unsolved` warns of it.

    Args:
        costs: at each span the cost of each run (sequences, FLOPs); None for one that did not solve the task.
        level: the confidence level.

    Raises:
        ValueError: a span or a cost that is not above zero.
    """
    solved = [(span, cost) for span, runs in costs.items() for cost in runs if cost is not None]
    if any(span <= 0 or cost <= 0 for span, cost in solved):
        raise ValueError("spans and costs are above zero")
    spans = sorted({span for span, _ in solved})
    known = {
        "runs": len(solved),
        "unsolved": sum(cost is None for runs in costs.values() for cost in runs),
        "least": spans[0] if spans else 0,
        "most": spans[-1] if spans else 0,
    }
    if len(solved) < 3 or len(spans) < 2:
        return Growth(math.nan, math.nan, math.nan, **known)
    line = stats.linregress([math.log(span) for span, _ in solved], [math.log(cost) for _, cost in solved])
    # Where all costs are equal scipy has no standard error; it is 0, as for any other line without residuals.
    error = 0.0 if math.isnan(line.stderr) else line.stderr
    half = float(stats.t.ppf((1 + level) / 2, len(solved) - 2) * error)
    return Growth(float(line.slope), float(line.slope - half), float(line.slope + half), **known)
