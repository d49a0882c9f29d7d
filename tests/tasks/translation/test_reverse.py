"""Saying tokens backwards."""

from __future__ import annotations

import math

import pytest
import torch

from seqbench.tasks.translation.reverse import Reverse


def draw(length, rows=100, **settings):
    return Reverse(**settings).draw(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize(("length", "alphabet"), [(1, 8), (5, 8), (30, 2)])
def test_the_target_is_the_input_backwards_and_then_the_end(length, alphabet):
    batch = draw(length, alphabet=alphabet)
    assert batch.inputs.shape == (100, length) and batch.targets.shape == (100, length + 1)
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert target == [*reversed(given), alphabet]
    assert set(batch.inputs.flatten().tolist()) == set(range(alphabet))
    assert batch.mask is None and batch.lengths is None  # all of it counts, and all are as long


def test_the_docstrings_example():
    batch = draw(5, rows=100_000)
    (row, *_) = (batch.inputs == torch.tensor([3, 0, 7, 7, 1])).all(1).nonzero()[0]
    assert batch.targets[row].tolist() == [1, 7, 7, 0, 3, 8]
    drawn = Reverse.__doc__.split("input")[1]
    assert drawn.split()[:12] == ["3", "0", "7", "7", "1", "target", "1", "7", "7", "0", "3", "8"]


def test_the_baseline_leaves_all_but_the_end_to_chance():
    assert Reverse().baseline_loss(20) == pytest.approx(20 / 21 * math.log(8))
    assert Reverse(alphabet=2).baseline_loss(1) == pytest.approx(0.5 * math.log(2))
    assert Reverse(alphabet=2).chance(3) == {"accuracy": pytest.approx((3 * 0.5 + 1) / 4), "exact": 0.125}
