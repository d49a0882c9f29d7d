"""Saying tokens in their order."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest
import torch

from seqbench.tasks.translation.sort_tokens import SortTokens


def draw(length, rows=100, **settings):
    return SortTokens(**settings).draw(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize(("length", "alphabet"), [(1, 8), (5, 8), (30, 2)])
def test_the_target_is_the_input_sorted_and_then_the_end(length, alphabet):
    batch = draw(length, alphabet=alphabet)
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert len(given) == length and target == [*sorted(given), alphabet]
    assert set(batch.inputs.flatten().tolist()) == set(range(alphabet))


def test_the_docstrings_example():
    batch = draw(5, rows=100_000)
    (row, *_) = (batch.inputs == torch.tensor([3, 0, 7, 7, 1])).all(1).nonzero()[0]
    assert batch.targets[row].tolist() == [0, 1, 3, 7, 7, 8]
    drawn = SortTokens.__doc__.split("input")[1]
    assert drawn.split()[:12] == ["3", "0", "7", "7", "1", "target", "0", "1", "3", "7", "7", "8"]


@pytest.mark.parametrize(("length", "alphabet"), [(1, 8), (2, 3), (4, 3), (5, 4), (9, 2)])
def test_the_baseline_is_the_entropy_of_each_place_over_all_inputs(length, alphabet):
    answers = [sorted(tokens) for tokens in product(range(alphabet), repeat=length)]
    entropy = 0.0
    for place in zip(*answers, strict=True):
        shares = [count / len(answers) for count in Counter(place).values()]
        entropy -= sum(share * math.log(share) for share in shares)
    expected = entropy / (length + 1)
    task = SortTokens(alphabet=alphabet)
    assert task.baseline_loss(length) == pytest.approx(expected, rel=1e-9)
    most = sum(max(Counter(place).values()) for place in zip(*answers, strict=True))
    chance = task.chance(length)
    assert chance["accuracy"] == pytest.approx((most / len(answers) + 1) / (length + 1))
    answer = [max(range(alphabet), key=Counter(place).__getitem__) for place in zip(*answers, strict=True)]
    assert chance["exact"] == pytest.approx(answers.count(answer) / len(answers))


def test_the_baseline_of_long_sequences_is_finite_and_falls():
    losses = [SortTokens().baseline_loss(length) for length in (20, 200, 2000)]
    assert math.log(8) > losses[0] > losses[1] > losses[2] > 0
