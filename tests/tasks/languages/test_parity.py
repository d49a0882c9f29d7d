"""Parity, and what it shares with others that are tested at longer lengths."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.languages.parity import Parity


def draw(length, rows=500):
    return Parity(length=length).sample(torch.Generator().manual_seed(0), rows, length)


def rows_of(batch):
    return zip(*(part.tolist() for part in (batch.inputs, batch.lengths, batch.targets)), strict=True)


@pytest.mark.parametrize("length", [1, 2, 33])
def test_target_is_whether_the_ones_are_odd(length):
    batch = draw(length)
    assert batch.inputs.shape == (500, length) and batch.targets.shape == (500,) and batch.lengths is None
    for bits, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert target == bits.count(1) % 2 and set(bits) <= {0, 1}
    assert batch.targets.float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_training_and_validation_mix_all_lengths_alike():
    task = Parity(length=8, eval_size=4000)
    for batch in (task.validation(), task.sample_training(torch.Generator().manual_seed(0), 4000)):
        assert batch.inputs.shape == (4000, task.steps) == (4000, 8)
        counts = Counter(batch.lengths.tolist())
        assert set(counts) == set(range(1, 9))
        assert all(abs(n - 500) < 5 * math.sqrt(500) for n in counts.values())
        for bits, n, target in rows_of(batch):
            assert not any(bits[n:]) and target == sum(bits[:n]) % 2


def test_tests_are_of_one_length_and_begin_where_training_ends():
    task = Parity(length=8, eval_lengths=[8, 16, 32], eval_size=10)
    for length in (8, 16, 32):
        assert task.test(length).inputs.shape == (10, length)
    assert Parity().eval_lengths == (40,)


def test_the_docstrings_example(make_task):
    batch = draw(5)
    (row,) = (batch.inputs == torch.tensor([1, 0, 1, 1, 0])).all(1).nonzero()[0]
    assert batch.targets[row] == 1
    assert make_task("task=parity").eval_lengths == (40, 80, 160, 320)


def test_too_short_is_refused():
    Parity(length=1)
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least 1"):
        Parity(length=0)
