"""Tests of two models and of many."""

import itertools
import math

import numpy as np
import pytest

from seqbench.results.statistics.compare import holm, permutation_test


def test_permutations_are_counted() -> None:
    apart = permutation_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    assert (apart.difference, apart.p, apart.least_p) == pytest.approx((-5, 2 / 252, 2 / 252))
    paired = permutation_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 11], paired=True)
    assert (paired.p, paired.least_p, paired.paired) == (0.0625, 0.0625, True)
    assert permutation_test([1, 2, 3], [6, 7, 8]).p == pytest.approx(0.1)
    assert permutation_test([0.0] * 5, [0.0] * 5).p == 1


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("of", [1000, 3840, 7])
def test_counts_that_tie_do_so_as_shares_of_single_precision(of: int, paired: bool) -> None:
    """Against whole numbers, which have no rounding."""
    rng = np.random.default_rng(of)
    for n in (3, 4, 5, 6) * 10:
        a, b = rng.integers(of - of // 100 - 6, of + 1, n), rng.integers(of - of // 100 - 6, of + 1, n)
        if paired:
            null = [int(np.dot(signs, a - b)) for signs in itertools.product((1, -1), repeat=n)]
            observed = int((a - b).sum())
        else:
            every = [*a.tolist(), *b.tolist()]
            null = [2 * sum(its) - sum(every) for its in itertools.combinations(every, n)]
            observed = int(a.sum() - b.sum())
        sides = sum(k <= observed for k in null), sum(k >= observed for k in null)
        exact = min(1, 2 * min(sides) / len(null))
        found = permutation_test(*(np.float32(counts / of).tolist() for counts in (a, b)), paired)
        assert found.p == pytest.approx(exact), (a, b)


def test_pairs_see_what_is_the_same_for_both() -> None:
    data = np.array([0.0, 10, 20, 30, 40, 50, 60])  # what a seed's data add to both
    better = data + np.array([1, 1.1, 0.9, 1, 1.2, 1, 0.8])
    assert permutation_test(better, data, paired=True).p == pytest.approx(2 / 2**7)
    assert permutation_test(better, data).p > 0.5


def test_many_seeds_are_drawn_the_same_way_each_time() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 20), rng.normal(0.8, 1, 20)
    first = permutation_test(a, b)
    assert first == permutation_test(a, b)
    assert first.least_p == pytest.approx(2e-4)


def test_too_few_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two seeds of each model; there are 1 and 5"):
        permutation_test([1], [1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match=r"of equal number; there are 2 and 3"):
        permutation_test([1, 2], [1, 2, 3], paired=True)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
    assert math.isclose(holm([0.02])[0], 0.02)
