"""Reverse string."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.languages.reverse_string import ReverseString


@pytest.mark.parametrize("length", [1, 2, 17])
def test_targets_are_the_string_backwards_at_the_blanks(length):
    task = ReverseString(length=length)
    batch = task.sample(torch.Generator().manual_seed(0), 300, length)
    assert batch.inputs.shape == batch.targets.shape == (300, 2 * length) and batch.lengths is None
    assert batch.mask.tolist() == [[False] * length + [True] * length] * 300
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert set(given[:length]) <= {0, 1} and given[length:] == [2] * length
        assert target[length:] == given[:length][::-1]


def test_training_mixes_lengths_in_one_batch():
    task = ReverseString(length=6)
    batch = task.sample_training(torch.Generator().manual_seed(0), 500)
    assert batch.inputs.shape == (500, task.steps) == (500, 12)
    assert set(batch.lengths.tolist()) == {2, 4, 6, 8, 10, 12}
    for given, target, mask, steps in zip(*(part.tolist() for part in batch[:4]), strict=True):
        n = steps // 2
        assert set(given[:n]) <= {0, 1} and set(given[n:]) == {2}
        assert mask == [n <= t < 2 * n for t in range(12)]
        assert target[n : 2 * n] == given[:n][::-1]


def test_the_docstrings_example():
    batch = ReverseString(length=3).sample(torch.Generator().manual_seed(0), 100, 3)
    row, *_ = (batch.inputs == torch.tensor([1, 1, 0, 2, 2, 2])).all(1).nonzero()[:, 0].tolist()
    assert batch.targets[row, 3:].tolist() == [0, 1, 1]


def test_targets_count_at_the_blanks_alone():
    task = ReverseString(length=4)
    batch = task.sample_training(torch.Generator().manual_seed(0), 50)
    right = torch.nn.functional.one_hot(batch.targets, 2) * 20.0
    spoilt = torch.where(batch.mask[..., None], right, right.flip(-1))
    values, weights = task.measure(spoilt, batch)["accuracy"]
    assert (values * weights).sum() == weights.sum() == batch.lengths.sum() / 2
    assert task.targets.loss(spoilt, batch) < 1e-6 < task.targets.loss(right.flip(-1), batch)


def test_too_short_is_refused():
    ReverseString(length=1)
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least 1"):
        ReverseString(length=0)
