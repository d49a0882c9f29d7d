"""Even pairs."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from seqbench.tasks.languages.even_pairs import EvenPairs


def odd(bits):
    return sum(a != b for a, b in pairwise(bits)) % 2


def test_targets_say_whether_the_pairs_are_odd():
    batch = EvenPairs(length=12).sample_training(torch.Generator().manual_seed(0), 500)
    assert set(batch.lengths.tolist()) == set(range(1, 13))
    for bits, n, target in zip(
        *(part.tolist() for part in (batch.inputs, batch.lengths, batch.targets)), strict=True
    ):
        assert target == odd(bits[:n]) and not any(bits[n:])


def test_the_docstrings_example():
    assert odd([0, 1, 0, 1, 0, 0, 1]) == 1
    batch = EvenPairs(length=7).sample(torch.Generator().manual_seed(0), 2000, 7)
    (row, *_) = (batch.inputs == torch.tensor([0, 1, 0, 1, 0, 0, 1])).all(1).nonzero()[:, 0].tolist()
    assert batch.targets[row] == 1


def test_one_bit_has_no_pair():
    task = EvenPairs(length=1)
    assert not task.sample(torch.Generator().manual_seed(0), 50, 1).targets.any()
    assert task.baseline_loss(1) == 0 and task.chance(1) == {"accuracy": 1.0}
    assert task.baseline_loss(2) == pytest.approx(0.6931472) and task.chance(2) == {"accuracy": 0.5}
