"""Cycle navigation."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.languages.cycle_navigation import CycleNavigation


def walk(moves, positions=5):
    place = 0
    for token in moves:
        place = (place + {0: -1, 1: 0, 2: 1}[token]) % positions
    return place


def rows_of(batch):
    return zip(*(part.tolist() for part in (batch.inputs, batch.lengths, batch.targets)), strict=True)


@pytest.mark.parametrize(("length", "positions"), [(1, 5), (7, 5), (30, 3)])
def test_target_is_where_the_walk_ends(length, positions):
    task = CycleNavigation(length=length, positions=positions)
    batch = task.sample(torch.Generator().manual_seed(0), 300, length)
    assert batch.inputs.shape == (300, length) and batch.lengths is None
    for moves, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert target == walk(moves, positions)


def test_moves_after_the_last_valid_one_do_not_count():
    batch = CycleNavigation(length=12).validation()
    assert set(batch.lengths.tolist()) == set(range(1, 13))
    for moves, n, target in rows_of(batch):
        assert target == walk(moves[:n]) and not any(moves[n:])


def test_the_docstrings_example():
    assert walk([0, 1, 0, 2, 0]) == 3
    batch = CycleNavigation(length=5).sample(torch.Generator().manual_seed(0), 2000, 5)
    (row, *_) = (batch.inputs == torch.tensor([0, 1, 0, 2, 0])).all(1).nonzero()[:, 0].tolist()
    assert batch.targets[row] == 3


@pytest.mark.parametrize(("length", "positions"), [(1, 5), (4, 5), (6, 2)])
def test_the_baseline_is_the_entropy_over_all_walks(length, positions):
    ends = Counter(walk(moves, positions) for moves in itertools.product(range(3), repeat=length))
    shares = [n / 3**length for n in ends.values()]
    task = CycleNavigation(length=length, positions=positions)
    assert task.baseline_loss(length) == pytest.approx(-sum(p * math.log(p) for p in shares))


def test_bad_values_are_refused():
    CycleNavigation(length=1, positions=2)
    for bad, message in [
        ({"length": 0}, r"task.length=0 is too short .* at least 1"),
        ({"positions": 1}, r"task.positions=1 leaves nowhere to go"),
    ]:
        with pytest.raises(ConfigError, match=message):
            CycleNavigation(**bad)
