"""The longest span that a model learns: a psychometric curve through solve counts, and its 50 % point.

The probability that a run solves its task falls with the span. As a curve in log₂ span it is taken to be
logistic, as in psychophysics (Wichmann & Hill, 2001, Perception & Psychophysics 63), and fitted by penalised
likelihood (Firth, 1993, Biometrika 80): Jeffreys' prior keeps the fit finite where every run below some span
solves the task and none above it. The interval is that of the profile likelihood, as Heinze & Schemper (2002,
Statistics in Medicine 21) have it. Some runs fail at any span, diverged ones for instance: Wichmann & Hill's
lapses, without which the curve would be too level and the span too short. Kent & Murray (2024,
arXiv:2408.11946) search for the longest dependency that a recurrent network learns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import chi2

#: The number of runs that solved the task, and of all runs, at each span.
Outcomes = Mapping[int, tuple[int, int]]

#: How many points an octave the profile likelihood is computed at.
RESOLUTION = 16
#: Slopes of the logistic curve in 1/octave: from all but level to a step within a tenth of an octave.
SLOPES = np.geomspace(0.05, 50, 30)
#: Shares of runs that fail at any span.
LAPSES = np.linspace(0, 0.3, 7)
#: What a probability of zero is taken for, so that it has a logarithm.
TINY = 1e-300
#: How far beyond the tried spans the 50 % point may lie, in octaves: far enough for a curve that is level.
BEYOND = np.geomspace(1 / RESOLUTION, 256, 30)


@dataclass(frozen=True)
class Span:
    """The span at which half of the runs solve the task, in the unit of the spans.

    Attributes:
        estimate: the span. Here and at the ends, 0 means below the least span tried, and infinity beyond the
            largest: the interval is open there.
        low: the lower end of the interval.
        high: the upper end of the interval.
        log2_m: log₂ of the fitted 50 % point itself, wherever it lies: far out for a curve that is level.
        slope: how fast the log-odds of solving fall, per octave.
        lapse: the share of runs that fail at any span.
        least: the least span tried.
        most: the largest span tried.
    """

    estimate: float
    low: float
    high: float
    log2_m: float
    slope: float
    lapse: float
    least: int
    most: int

    @property
    def factor(self) -> float:
        """The width of the interval as a factor, high / low; infinite where an end is open."""
        return self.high / self.low if self.low > 0 and self.high < math.inf else math.inf

    def __str__(self) -> str:
        """`53 [41–70]`; with open ends `> 400`, `< 10`, `330 [260–>400]`; `unsure` where both are open."""
        if self.low == 0 and math.isinf(self.high):
            return "unsure"
        texts = [self._text(value) for value in (self.estimate, self.low, self.high)]
        return texts[0] if len(set(texts)) == 1 else f"{texts[0]} [{texts[1]}–{texts[2]}]"

    def _text(self, value: float) -> str:
        """Return a span in three digits or as a whole number, or on which side of the tried spans it lies."""
        if value < self.least:
            return f"< {self.least}"
        if value > self.most:
            return f"> {self.most}"
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def fit_span(outcomes: Outcomes, level: float = 0.95) -> Span:
    """Fit a falling curve to the share of solved runs, and return its 50 % point m with an interval.

    P(solve) = (1 − lapse) / (1 + exp(slope · log₂(span / m) − c)), slope > 0, with the c for which P is one
    half at m. The penalised log-likelihood is l(m, slope, lapse) + ½ log |I|, I the Fisher information of
    intercept and slope (of the intercept alone, where one span was tried). It is maximised over a grid, so
    that a likelihood with two maxima, or one at infinity, needs no care. The interval holds every m for which
    2 (l* − max over slope and lapse) is at most the quantile of χ² with one degree of freedom.

    The runs must be independent: where the same seeds, from the same weights, run at every span, use
    `fit_seeds`.

    Coverage with the staircase's own choice of spans (`next_spans` from 10 to 400), true spans of 12, 19, 30,
    48, 76, 120, 190 and 300, and seeds whose thresholds vary by a quarter of an octave: mean over the spans
    (least), in %, then the median width as a factor; 200 simulations a span. Slopes are those of one seed:

                              5 seeds, slope 2, 8 and 30 an octave   10 seeds
        fresh at every span   95 (92) 2.1  98 (96) 1.6  98 (98) 1.5  95 (93) 1.6  96 (94) 1.3  96 (94) 1.3
        10 % fail anyhow      94 (90) 2.6  95 (94) 1.9  96 (93) 1.8  95 (90) 1.9  95 (93) 1.4  94 (92) 1.4
        20 % fail anyhow      92 (89) 3.8  93 (90) 2.3  93 (90) 2.3  94 (88) 2.3  92 (89) 1.6  93 (89) 1.6
        whole seeds           94 (89) 2.1  94 (91) 1.6  97 (93) 1.5  93 (90) 1.6  94 (93) 1.4  95 (89) 1.3

    With ten seeds the third row, and whole seeds at slope 2, are of a staircase that ended once nothing was
    solved at two spans in a row; it ends at one now.

    Five seeds, and up to ten where the rate falls if both ends of the interval lie among the spans tried,
    more than a factor of two apart (`staircase.next_runs`): 94 (93) 1.9, 98 (96) 1.6 and 98 (98) 1.5.

    Without lapses in the curve the third row is about 90, 90, 89, 80, 67 and 64.

    Args:
        outcomes: at each span how many runs solved the task, and how many there were.
        level: the confidence level.

    Raises:
        ValueError: no span, a span below 1, or counts that are not 0 ≤ solved ≤ n, 1 ≤ n.
    """
    return _fit(outcomes, float(chi2.ppf(level, 1)))


def fit_seeds(solved: Mapping[int, Sequence[bool]], level: float = 0.95) -> Span:
    """Fit the same curve to whole seeds: each has run at every span and may be good or bad at all of them.

    What a seed has in common over the spans makes the counts vary more than independent runs do. The
    quantile is multiplied by that overdispersion: the variance of m between seeds (the sandwich estimate,
    Liang & Zeger, 1986, Biometrika 73) over that of independent runs, 1 at least. A bootstrap over five
    seeds knows but a few hundred samples, many of them without any fall, so that it is not used.

    Coverage as above, 60 simulations a span: 95 (88), 95 (87) and 98 (95) with five seeds, 94 (90), 95 (88)
    and 95 (93) with ten, at widths up to a factor of 2.4 and 1.8.

    Args:
        solved: at each span whether each seed solved the task; the seeds are the same in the same order.
        level: the confidence level.

    Raises:
        ValueError: as for `fit_span`, or the numbers of seeds differ, or there is one seed alone.
    """
    if len({len(runs) for runs in solved.values()}) > 1:
        raise ValueError("whole seeds have run at every span; here the number of runs differs between spans")
    if any(len(runs) < 2 for runs in solved.values()):
        raise ValueError("one seed alone does not say how seeds differ; two or more are needed")
    outcomes = {span: (sum(runs), len(runs)) for span, runs in solved.items()}
    fit = _fit(outcomes, quantile := float(chi2.ppf(level, 1)))
    return _fit(outcomes, quantile * _overdispersion(solved, fit))


def solve_probability(span: float, fit: Span) -> float:
    """Return the fitted probability that a run solves the task at a span."""
    return float((1 - fit.lapse) * expit(_log_odds(math.log2(span), fit.log2_m, fit.slope, fit.lapse)))


def _fit(outcomes: Outcomes, quantile: float) -> Span:
    """Fit the curve; the interval holds what lies within `quantile` of twice the largest likelihood."""
    _check(outcomes)
    spans = sorted(outcomes)
    x = np.log2(spans)
    solved, n = np.array([outcomes[span] for span in spans], dtype=float).T
    m = half_points(x)
    likelihoods = []
    for lapse in LAPSES:
        solving, failing, prior = log_curves(x, n, m, SLOPES, lapse)
        likelihoods.append(solving @ solved + failing @ (n - solved) + prior)
    profiles, slopes_at = zip(*map(_maximum, likelihoods), strict=True)
    lapse_at = np.argmax(profiles, axis=0)  # (m,)
    profile = np.max(profiles, axis=0)
    largest, best_at = _maximum(profile)
    nearest = round(float(best_at))
    slope_at = slopes_at[lapse_at[nearest]][nearest]
    best = float(np.interp(best_at, np.arange(len(m)), m))
    slope = float(np.exp(np.interp(slope_at, np.arange(len(SLOPES)), np.log(SLOPES))))
    low, high = _ends(m, 2 * (largest - profile) - quantile)
    return Span(
        estimate=_limited(best, x),
        low=_limited(low, x),
        high=_limited(high, x),
        log2_m=best,
        slope=slope,
        lapse=float(LAPSES[lapse_at[nearest]]),
        least=spans[0],
        most=spans[-1],
    )


def _check(outcomes: Outcomes) -> None:
    if not outcomes:
        raise ValueError("a span needs outcomes at one span or more; there are none")
    for span, (solved, n) in outcomes.items():
        if span < 1 or n < 1 or not 0 <= solved <= n:
            raise ValueError(f"at span {span}, {solved} of {n} runs solved: these are no counts of runs")


def _overdispersion(solved: Mapping[int, Sequence[bool]], fit: Span) -> float:
    """Return how much more m varies between seeds than between independent runs; 1 at least."""
    if fit.estimate == 0 or math.isinf(fit.estimate) or len(solved) == 1:
        return 1.0
    spans = sorted(solved)
    x = np.log2(spans)
    runs = np.array([solved[span] for span in spans], dtype=float)  # (spans, seeds)
    n_seeds = runs.shape[1]
    odds = _log_odds(x, fit.log2_m, fit.slope, fit.lapse)
    p, q = expit(odds), expit(-odds)
    failing = np.maximum(fit.lapse + (1 - fit.lapse) * q, TINY)
    design = np.stack([np.ones_like(x), x], axis=1)
    weight = n_seeds * (1 - fit.lapse) * p * q**2 / failing
    # The gradient of m with respect to intercept and slope is along (1, m); times the inverse of the
    # information it says how far a run at each span moves m.
    influence = design @ np.linalg.pinv(design.T * weight @ design) @ [1, fit.log2_m]
    seeds = (runs - (1 - fit.lapse) * p[:, None]).T @ (influence * q / failing)
    independent = float(weight @ influence**2)
    if independent <= 0:
        return 1.0
    return float(max(1.0, n_seeds / (n_seeds - 1) * (seeds @ seeds) / independent))


def _log_odds(x: Any, m: Any, slope: Any, lapse: float) -> Any:
    """Return the log-odds that a run that does not lapse solves the task: with lapses, half do at m."""
    return slope * (m - x) + logit(0.5 / (1 - lapse))


def half_points(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log₂ of the 50 % points that are considered, ascending, for log₂ of the spans tried."""
    inside = np.linspace(x[0], x[-1], 2 + round(RESOLUTION * (x[-1] - x[0])))
    return np.concatenate([x[0] - BEYOND[::-1], inside, x[-1] + BEYOND])


def log_curves(
    x: NDArray[np.float64],
    n: NDArray[np.float64],
    m: NDArray[np.float64],
    slopes: NDArray[np.float64],
    lapse: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return what the likelihood of every curve is made of.

    With the numbers of solved runs it is solving @ solved + failing @ (n - solved) + prior.

    Args:
        x: log₂ of the spans, (spans,).
        n: the numbers of runs, (spans,).
        m: log₂ of the 50 % points.
        slopes: of the curves, 1/octave.
        lapse: the share of runs that fail at any span.

    Returns:
        The logarithms of the probabilities to solve the task and to fail, (m, slope, spans), and of Jeffreys'
        prior, (m, slope).
    """
    distance = m[:, None, None] - x  # (m, 1, spans)
    odds = _log_odds(x, m[:, None, None], slopes[:, None], lapse)  # (m, slope, spans)
    p, q = expit(odds), expit(-odds)
    failing = np.maximum(lapse + (1 - lapse) * q, TINY)
    weight = n * (1 - lapse) * p * q**2 / failing
    information = weight.sum(-1)
    if len(x) > 1:
        first, second = (weight * distance).sum(-1), (weight * distance**2).sum(-1)
        information = information * second - first**2
    with np.errstate(divide="ignore", invalid="ignore"):
        # Rounding may leave an information of nothing a little below zero: there the prior is 0.
        prior = np.nan_to_num(np.log(information) / 2, nan=-np.inf, neginf=-np.inf)
    return np.log(np.maximum((1 - lapse) * p, TINY)), np.log(failing), prior


def _maximum(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest value along the last axis and its index, both by a parabola through three points."""
    index = values.argmax(axis=-1)
    inner = np.clip(index, 1, values.shape[-1] - 2)
    before, at, after = (np.take_along_axis(values, (inner + i)[..., None], -1)[..., 0] for i in (-1, 0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = (before - after) / (before - 2 * at + after) / 2
        rise = (after - before) * offset / 4
    # There is no parabola at the ends of the grid, beside an infinite value, or where all are equal.
    known = (index == inner) & np.isfinite(rise)
    return values.max(axis=-1) + np.where(known, rise, 0.0), index + np.where(known, offset, 0.0)


def _ends(m: NDArray[np.float64], tolerated: NDArray[np.float64]) -> tuple[float, float]:
    """Return where a function of m crosses zero first and last; the outermost m where it never does."""
    within = np.flatnonzero(tolerated <= 0)
    first, last = within[0], within[-1]

    def crossing(inner: int, outer: int) -> float:
        share = tolerated[inner] / (tolerated[inner] - tolerated[outer])
        return float(m[inner] + share * (m[outer] - m[inner]))

    low = m[0] if first == 0 else crossing(first, first - 1)
    high = m[-1] if last == len(m) - 1 else crossing(last, last + 1)
    return float(low), float(high)


def _limited(log_span: float, x: NDArray[np.float64]) -> float:
    """Return 2 to the power of a log span; 0 or infinity if it lies outside the tried spans."""
    if log_span < x[0]:
        return 0.0
    return math.inf if log_span > x[-1] else float(2**log_span)
