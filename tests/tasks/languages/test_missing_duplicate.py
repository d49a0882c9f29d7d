"""Missing duplicate."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.languages.missing_duplicate import MissingDuplicate


def rows_of(batch):
    lengths = [batch.inputs.shape[1]] * len(batch.inputs) if batch.lengths is None else batch.lengths.tolist()
    for given, n, target in zip(batch.inputs.tolist(), lengths, batch.targets.tolist(), strict=True):
        assert not any(given[n:])
        yield given[:n], target


def test_the_target_is_the_bit_of_the_other_copy():
    batch = MissingDuplicate(length=14).sample_training(torch.Generator().manual_seed(0), 500)
    assert set(batch.lengths.tolist()) == set(range(2, 15, 2))
    for given, target in rows_of(batch):
        place = given.index(2)
        filled = [*given[:place], target, *given[place + 1 :]]
        half = len(filled) // 2
        assert given.count(2) == 1 and filled[:half] == filled[half:]


def test_the_docstrings_example():
    batch = MissingDuplicate(length=8).sample(torch.Generator().manual_seed(0), 2000, 8)
    assert ([0, 1, 1, 0, 0, 2, 1, 0], 1) in [*rows_of(batch)]


def test_any_bit_is_missing_equally_often():
    batch = MissingDuplicate(length=8).sample(torch.Generator().manual_seed(0), 8000, 8)
    places = Counter(given.index(2) for given, _ in rows_of(batch))
    assert set(places) == set(range(8)) and all(abs(n - 1000) < 150 for n in places.values())


def test_odd_lengths_are_refused():
    with pytest.raises(ConfigError, match=r"task.length=7 is odd, and there are two copies; give 8"):
        MissingDuplicate(length=7)
