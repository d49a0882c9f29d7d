"""Scores and ranks over many tasks."""

import math

import numpy as np
import pytest
from scipy import stats
from seed_distributions import FAMILY

from seqbench.results.statistics.over_tasks import average_ranks, interquartile_mean

#: Areas under the curve of four decision trees on 14 data sets (Demšar, 2006, table 6).
DEMSAR = {
    "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.94, 0.619, 0.972, 0.957],
    "C4.5+m": [
        0.768,
        0.591,
        0.971,
        0.661,
        0.888,
        0.931,
        0.668,
        0.583,
        0.838,
        1.0,
        0.962,
        0.666,
        0.981,
        0.978,
    ],
    "C4.5+cf": [
        0.771,
        0.590,
        0.968,
        0.654,
        0.886,
        0.916,
        0.609,
        0.563,
        0.866,
        1.0,
        0.965,
        0.614,
        0.9751,
        0.946,
    ],
    "C4.5+m+cf": [
        0.798,
        0.569,
        0.967,
        0.657,
        0.898,
        0.931,
        0.685,
        0.625,
        0.875,
        1.0,
        0.962,
        0.669,
        0.975,
        0.970,
    ],
}


def test_ranks_as_published() -> None:
    found = average_ranks(DEMSAR, [True] * 14, level=0.9)
    assert found.models == ("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")
    assert found.ranks == pytest.approx((1.964, 2.0, 2.893, 3.143), abs=1e-3)
    assert found.critical_difference == pytest.approx(2.291 * math.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    # C4.5 and the one with both parameters differ; others do not.
    assert found.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5"))
    assert found.p == pytest.approx(stats.friedmanchisquare(*DEMSAR.values()).pvalue)


def test_lower_may_be_better_and_ties_share_a_rank() -> None:
    found = average_ranks({"a": [1, 0.9, 2], "b": [2, 0.9, 1], "c": [3, 0.1, 0]}, [False, True, False])
    assert dict(zip(found.models, found.ranks, strict=True)) == pytest.approx(
        {"b": (2 + 1.5 + 2) / 3, "a": (1 + 1.5 + 3) / 3, "c": (3 + 3 + 1) / 3}
    )
    assert found.groups == (found.models,)
    assert average_ranks({"a": [1, 1], "b": [1, 1], "c": [1, 1]}, [True, True]).p == 1


def test_ranks_need_models_tasks_and_scores() -> None:
    with pytest.raises(ValueError, match="three models or more"):
        average_ranks({"a": [1, 2], "b": [2, 3]}, [True, True])
    for hole in ([1, math.nan], [1]):
        with pytest.raises(ValueError, match="a score of every model on every task"):
            average_ranks({"a": hole, "b": [2, 3], "c": [3, 4]}, [True, True])


def test_interquartile_mean_by_hand() -> None:
    # Of 16 runs the middle eight count.
    tasks = [[0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8, 1.0, 1.0, 1.0, 1.0]]
    mean, low, high = interquartile_mean(tasks)
    assert mean == pytest.approx(0.45)
    assert 0 <= low < mean < high <= 1
    assert interquartile_mean(tasks) == (mean, low, high)


def test_interquartile_mean_of_few_seeds_has_no_interval() -> None:
    mean, low, high = interquartile_mean([[0, 1, 2], [3, 4, 5, 6, 7]])
    assert mean == 3.5
    assert math.isnan(low) and math.isnan(high)
    for tasks in ([], [[0.1, 0.2]]):
        with pytest.raises(ValueError, match="three seeds or more on every task"):
            interquartile_mean(tasks)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_tasks", "n", "mean", "least"), [(1, 5, 93, 85), (3, 5, 93, 87), (8, 5, 97, 95), (3, 10, 97, 95)]
)
def test_coverage_of_the_interquartile_mean(
    n_tasks: int, n: int, mean: float, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqbench.results.statistics.over_tasks.RESAMPLES", 999)
    family = [seeds for name, seeds in FAMILY.items() if "lognormal" not in name]
    found = []
    for draw in range(8):
        rng = np.random.default_rng(draw)
        tasks = [family[i] for i in rng.choice(len(family), n_tasks)]
        population = np.concatenate([task.sample(rng, (1, 100_000))[0] for task in tasks])
        truth = stats.trim_mean(population, 0.25)
        covered = 0
        for _ in range(60):
            _, low, high = interquartile_mean([task.sample(rng, (1, n))[0] for task in tasks])
            covered += low <= truth <= high
        found.append(100 * covered / 60)
    assert np.mean(found) == pytest.approx(mean, abs=3.5)
    assert min(found) == pytest.approx(least, abs=8)
