"""The span's interval by simulation: staircases of seeds that differ."""

import math

import numpy as np
import pytest
from staircases import covers, staircases

from seqbench.results.statistics.span import fit_seeds, fit_span

SPANS = (12, 19, 30, 48, 76, 120, 190, 300)


def coverages(
    slope: float, n_seeds: int, whole: bool, corrected: bool, repeats: int
) -> tuple[list[float], float]:
    """Return the coverage at each true span in %, and the median width as a factor."""
    known: dict[tuple, object] = {}
    found, widths = [], []
    for span in SPANS:
        covered = 0
        for runs in staircases(span, slope, n_seeds, whole, repeats):
            outcomes = {tried: (int(solved.sum()), n_seeds) for tried, solved in runs.items()}
            if corrected:
                fit = fit_seeds(runs)
            else:
                key = tuple(outcomes.items())
                fit = known[key] = known.get(key) or fit_span(outcomes)
            covered += covers(fit, span)
            widths.append(fit.factor)
        found.append(100 * covered / repeats)
    return found, float(np.quantile(widths, 0.5, method="lower"))


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [5, 10])
@pytest.mark.parametrize("slope", [2, 8, 30])
def test_fresh_seeds_at_every_span(slope: float, n_seeds: int) -> None:
    found, width = coverages(slope, n_seeds, whole=False, corrected=False, repeats=100)
    assert 92.5 <= np.mean(found) <= 99.9
    assert min(found) >= 86
    assert width < {5: 2.5, 10: 1.8}[n_seeds]


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [5, 10])
@pytest.mark.parametrize("slope", [2, 8, 30])
def test_whole_seeds_with_their_overdispersion(slope: float, n_seeds: int) -> None:
    found, width = coverages(slope, n_seeds, whole=True, corrected=True, repeats=50)
    assert 92 <= np.mean(found) <= 99.9
    assert min(found) >= 82
    assert math.isfinite(width)
