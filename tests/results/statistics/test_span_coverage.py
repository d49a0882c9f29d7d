"""The span's interval by simulation: staircases of seeds that differ."""

import numpy as np
import pytest
from staircases import covers, staircases

from seqbench.results.statistics.span import Span, fit_seeds, fit_span

SPANS = (12, 19, 30, 48, 76, 120, 190, 300)


def coverages(
    slope: float,
    n_seeds: int,
    repeats: int,
    whole: bool = False,
    corrected: bool = False,
    lapse: float = 0,
    most_seeds: int | None = None,
) -> tuple[list[float], float]:
    """Return the coverage at each true span in %, and the median width as a factor."""
    known: dict[tuple, Span] = {}
    found, widths = [], []
    for span in SPANS:
        covered = 0
        for runs in staircases(span, slope, n_seeds, whole, repeats, lapse, most_seeds):
            outcomes = {tried: (int(solved.sum()), len(solved)) for tried, solved in runs.items()}
            key = tuple(outcomes.items())
            if corrected:
                fit = fit_seeds(runs)
            else:
                fit = known[key] = known.get(key) or fit_span(outcomes)
            covered += covers(fit, span)
            widths.append(fit.factor)
        found.append(100 * covered / repeats)
    return found, float(np.quantile(widths, 0.5, method="lower"))


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [5, 10])
@pytest.mark.parametrize("slope", [2, 8, 30])
def test_fresh_seeds_at_every_span(slope: float, n_seeds: int) -> None:
    found, width = coverages(slope, n_seeds, repeats=60)
    assert 92.5 <= np.mean(found) <= 99.9
    assert min(found) >= 85
    assert width < {5: 2.5, 10: 1.8}[n_seeds]


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [5, 10])
def test_some_runs_fail_at_any_span(n_seeds: int) -> None:
    found, width = coverages(8, n_seeds, repeats=60, lapse=0.1)
    assert 92 <= np.mean(found) <= 99.9
    assert min(found) >= 82
    assert width < {5: 2.5, 10: 1.8}[n_seeds]


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [5, 10])
def test_whole_seeds_with_their_overdispersion(n_seeds: int) -> None:
    found, width = coverages(8, n_seeds, repeats=40, whole=True, corrected=True)
    assert 91 <= np.mean(found) <= 99.9
    assert min(found) >= 80
    assert width < {5: 2.5, 10: 1.8}[n_seeds]


@pytest.mark.slow
@pytest.mark.parametrize("slope", [2, 8])
def test_five_more_seeds_where_the_interval_is_wide(slope: float) -> None:
    found, width = coverages(slope, 5, repeats=60, most_seeds=10)
    assert 92.5 <= np.mean(found) <= 99.9
    assert min(found) >= 85
    assert width <= 2
