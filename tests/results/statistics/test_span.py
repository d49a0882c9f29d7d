"""The psychometric fit against closed forms and a general optimiser."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.stats import chi2

from seqbench.results.statistics.span import Span, fit_seeds, fit_span, solve_probability

#: Without lapses, which the closed forms do not have.
NO_LAPSES = "seqbench.results.statistics.span.LAPSES", np.zeros(1)
FALLING = {10: (5, 5), 20: (5, 5), 40: (4, 5), 57: (2, 5), 80: (1, 5), 160: (0, 5)}


def penalised(intercept: float, slope: float, outcomes: dict[int, tuple[int, int]]) -> float:
    """Return minus the log-likelihood with Jeffreys' prior, from the definition: one run after another."""
    total, information = 0.0, np.zeros((2, 2))
    for span, (solved, n) in outcomes.items():
        row = np.array([1, math.log2(span)])
        p = 1 / (1 + math.exp(-(intercept + slope * row[1])))
        total += solved * math.log(p) + (n - solved) * math.log(1 - p)
        information += n * p * (1 - p) * np.outer(row, row)
    return -total - np.linalg.slogdet(information)[1] / 2


def test_two_spans_have_a_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*NO_LAPSES)
    # For two groups, Firth's fit adds one half to each count (Heinze & Schemper, 2002).
    fit = fit_span({16: (9, 10), 64: (3, 10)})
    near, far = math.log(9.5 / 1.5), math.log(3.5 / 7.5)
    slope = (near - far) / 2
    assert fit.slope == pytest.approx(slope, rel=0.01)
    assert math.log2(fit.estimate) == pytest.approx(4 + near / slope, abs=0.003)
    assert solve_probability(fit.estimate, fit) == pytest.approx(0.5)


def test_interval_is_that_of_a_general_optimiser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*NO_LAPSES)
    best = minimize(lambda x: penalised(x[0], x[1], FALLING), (12, -2), method="Nelder-Mead")
    m = -best.x[0] / best.x[1]

    def tolerated(m: float) -> float:
        profile = minimize_scalar(
            lambda slope: penalised(slope * m, -slope, FALLING), bounds=(0.1, 8), method="bounded"
        )
        return 2 * (profile.fun - best.fun) - chi2.ppf(0.95, 1)

    fit = fit_span(FALLING)
    assert math.log2(fit.estimate) == pytest.approx(m, abs=0.003)
    assert fit.slope == pytest.approx(-best.x[1], rel=0.01)
    assert math.log2(fit.low) == pytest.approx(brentq(tolerated, m - 2, m), abs=0.005)
    assert math.log2(fit.high) == pytest.approx(brentq(tolerated, m, m + 2), abs=0.005)
    assert fit.factor == fit.high / fit.low


def test_perfect_separation_has_a_finite_interval() -> None:
    fit = fit_span({10: (5, 5), 20: (5, 5), 40: (5, 5), 80: (0, 5), 160: (0, 5)})
    assert 40 < fit.low < fit.estimate < fit.high < 80
    assert fit.estimate == pytest.approx(math.sqrt(40 * 80), rel=0.02)
    more = fit_span({10: (20, 20), 20: (20, 20), 40: (20, 20), 80: (0, 20), 160: (0, 20)})
    assert more.factor < fit.factor


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ({10: (5, 5), 20: (5, 5), 40: (5, 5), 400: (5, 5)}, "> 400"),
        ({10: (0, 5), 20: (0, 5)}, "< 10"),
        ({10: (5, 5)}, "> 10"),
        ({10: (0, 5)}, "< 10"),
        ({10: (2, 5)}, "unsure"),
        ({10: (1, 5), 20: (5, 5)}, "unsure"),  # better at longer spans: no fall that could be placed
        ({10: (3, 3), 20: (0, 3), 40: (0, 3)}, "14.2 [< 10–23.7]"),
    ],
)
def test_open_ends(outcomes: dict[int, tuple[int, int]], text: str) -> None:
    assert str(fit_span(outcomes)) == text


def test_text() -> None:
    def shown(*values: float) -> str:
        return str(Span(*values, log2_m=0, slope=1, lapse=0, least=10, most=400))

    assert shown(53.2, 41, 70) == "53.2 [41–70]"
    assert shown(330, 260, math.inf) == "330 [260–> 400]"
    assert shown(math.inf, 310, math.inf) == "> 400 [310–> 400]"
    far = Span(1234.5, 1100.4, math.inf, log2_m=0, slope=1, lapse=0, least=10, most=4000)
    assert str(far) == "1234 [1100–> 4000]"
    assert shown(99.96, 99.4, 100.6) == "100 [99.4–101]"
    assert fit_span({10: (5, 5)}).factor == math.inf


def test_more_solved_runs_never_shorten_the_span() -> None:
    fits = [fit_span({20: (10, 10), 40: (solved, 10), 80: (0, 10)}) for solved in range(11)]
    for low, high in itertools.pairwise(fits):
        assert low.estimate <= high.estimate
        assert low.low <= high.low
        assert low.high <= high.high


def test_runs_that_fail_at_any_span_leave_the_span_where_it_is() -> None:
    clean = {10: (10, 10), 20: (10, 10), 40: (10, 10), 57: (5, 10), 80: (0, 10), 160: (0, 10)}
    lapses = {**clean, 10: (9, 10), 20: (8, 10), 40: (9, 10)}
    fit = fit_span(lapses)
    assert fit.lapse == pytest.approx(0.1)
    assert fit.estimate == pytest.approx(fit_span(clean).estimate, rel=0.1)
    assert fit_span(clean).lapse == 0
    assert solve_probability(1, fit) == pytest.approx(0.9)
    assert solve_probability(fit.estimate, fit) == pytest.approx(0.5)


def test_whole_seeds_widen_the_interval_only_where_seeds_differ() -> None:
    # Good and bad seeds: each solves all spans up to its own.
    spans = (10, 20, 40, 57, 80, 113, 160, 320)
    differ = {span: [span <= own for own in (10, 20, 40, 160, 160)] for span in spans}
    counts = {span: (sum(runs), 5) for span, runs in differ.items()}
    whole, plain = fit_seeds(differ), fit_span(counts)
    assert whole.estimate == plain.estimate
    assert whole.factor > 1.2 * plain.factor
    alike = {10: [True] * 5, 20: [True] * 5, 40: [True, False] * 2 + [True], 80: [False] * 5}
    assert fit_seeds(alike) == fit_span({span: (sum(runs), 5) for span, runs in alike.items()})


@pytest.mark.parametrize("n", [16, 100, 1000])
def test_the_interval_narrows_with_the_root_of_the_number_of_runs(n: int) -> None:
    rates = {8: 0.982, 16: 0.881, 32: 0.5, 64: 0.119, 128: 0.018}  # slope 2, half at 32
    fit = fit_span({span: (round(n * rate), n) for span, rate in rates.items()})
    assert fit.estimate == pytest.approx(32, rel=0.01)
    # Of a thousand runs the grid of 50 % points is nearly too coarse.
    assert math.log2(fit.factor) * math.sqrt(n) == pytest.approx(2.8, rel=0.15)


@pytest.mark.parametrize("outcomes", [{}, {0: (1, 5)}, {10: (6, 5)}, {10: (0, 0)}, {10: (-1, 5)}])
def test_what_are_no_outcomes_is_refused(outcomes: dict[int, tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match=r"no counts of runs|there are none"):
        fit_span(outcomes)


def test_whole_seeds_must_have_run_at_every_span() -> None:
    with pytest.raises(ValueError, match="the number of runs differs"):
        fit_seeds({10: [True, True], 20: [True]})
    with pytest.raises(ValueError, match="one seed alone does not say how seeds differ"):
        fit_seeds({10: [True], 20: [False]})
