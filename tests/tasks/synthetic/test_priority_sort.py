"""Sorting random vectors by their priorities."""

from __future__ import annotations

import math

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.priority_sort import PrioritySort


def draw(length=20, rows=200, **settings):
    task = PrioritySort(length=length, **settings)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize(("length", "due"), [(20, 16), (5, 5), (3, 1), (1, 1)])
def test_the_vectors_come_again_in_order(length, due):
    batch = draw(length, sorted=due)
    steps = length + 1 + due
    assert batch.inputs.shape == (200, steps, 10) and batch.targets.shape == (200, steps, 8)
    for given, target, mask in zip(batch.inputs, batch.targets, batch.mask, strict=True):
        ranked = sorted(given[:length].tolist(), key=lambda vector: -vector[8])
        assert target[length + 1 :].tolist() == [vector[:8] for vector in ranked[:due]]
        assert given[:, 9].tolist() == [float(t == length) for t in range(steps)]
        assert not given[length:, :9].any()
        assert mask.tolist() == [t > length for t in range(steps)]


def test_bits_are_fair_and_priorities_uniform():
    batch = draw(rows=2000)
    bits, priorities = batch.inputs[:, :20, :8], batch.inputs[:, :20, 8].flatten()
    assert set(bits.flatten().tolist()) == {0, 1}
    assert bits.mean().item() == pytest.approx(0.5, abs=0.01)
    n = len(priorities)
    assert priorities.min() >= -1 and priorities.max() <= 1
    furthest = (priorities.sort().values - torch.linspace(-1, 1, n)).abs().max().item() / 2
    assert furthest < 1.95 / math.sqrt(n)  # Kolmogorov & Smirnov, at 0.1 %
    assert abs(torch.corrcoef(torch.stack([priorities, bits[..., 0].flatten()]))[0, 1]) < 5 / math.sqrt(n)


def test_the_docstrings_example(monkeypatch):
    vectors = torch.tensor([[[1, 1], [0, 0], [0, 1], [1, 0]]])
    monkeypatch.setattr(torch, "randint", lambda *args, **kwargs: vectors)
    monkeypatch.setattr(
        torch, "rand", lambda *args, **kwargs: (torch.tensor([[-0.3, 0.8, 0.1, 0.4]]) + 1) / 2
    )
    batch = draw(4, rows=1, sorted=3, bits=2)
    assert batch.inputs[0, :, 2].tolist() == pytest.approx([-0.3, 0.8, 0.1, 0.4, 0, 0, 0, 0])
    channels = torch.cat([batch.inputs[0, :, [0, 1, 3]], batch.targets[0]], dim=1).T.int().tolist()
    drawn = ["1001....", "1010....", "....1...", ".....010", ".....001"]
    assert ["".join(map(str, channel)) for channel in channels] == [line.replace(".", "0") for line in drawn]
    assert batch.mask[0].tolist() == [t > 4 for t in range(8)]


def test_longer_sequences_have_as_many_due():
    task = PrioritySort(length=6, sorted=4, eval_lengths=[4, 6, 10], eval_size=7)
    assert task.steps == 11 == task.validation().inputs.shape[1]
    assert [task.test(n).inputs.shape[1] for n in task.eval_lengths] == [9, 11, 15]


def test_the_baseline_is_that_of_a_coin():
    assert PrioritySort().baseline_loss(20) == math.log(2)


def test_bad_values_are_refused():
    with pytest.raises(ConfigError, match=r"task.bits=0 leaves nothing to sort; give at least 1"):
        PrioritySort(bits=0)
    with pytest.raises(ConfigError, match=r"task.sorted=0 vectors .* the 20 .* give 1 to 20"):
        PrioritySort(sorted=0)
    with pytest.raises(ConfigError, match=r"task.sorted=16 vectors cannot be due of the 15 .* give 1 to 15"):
        PrioritySort(eval_lengths=[20, 15])
