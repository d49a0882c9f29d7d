"""Copying random vectors."""

from __future__ import annotations

import math

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.ntm_copy import NTMCopy


def draw(length, bits=8, rows=200):
    return NTMCopy(bits=bits).draw(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize("length", [1, 2, 20])
def test_the_vectors_come_again_after_the_mark(length):
    batch = draw(length)
    assert batch.inputs.shape == (200, 2 * length + 1, 9) and batch.targets.shape == (200, 2 * length + 1, 8)
    assert batch.lengths is None
    for given, target, mask in zip(batch.inputs, batch.targets, batch.mask, strict=True):
        for t in range(2 * length + 1):
            assert given[t, 8] == (t == length) and mask[t] == (t > length)
            assert set(given[t, :8].tolist()) <= {0, 1}
            if t >= length:
                assert not given[t, :8].any()
            if t > length:
                assert torch.equal(target[t], given[t - length - 1, :8])
    assert batch.inputs[:, :length, :8].mean().item() == pytest.approx(0.5, abs=0.05)


def test_the_docstrings_example():
    batch = draw(3, bits=2, rows=500)
    wanted = torch.tensor([[1.0, 0, 1], [0, 0, 1]]).T
    (row, *_) = (batch.inputs[:, :3, :2] == wanted).flatten(1).all(1).nonzero()[0]
    channels = torch.cat([batch.inputs[row], batch.targets[row]], dim=1).T.int().tolist()
    drawn = ["101....", "001....", "...1...", "....101", "....001"]
    assert ["".join(map(str, channel)) for channel in channels] == [line.replace(".", "0") for line in drawn]
    assert "".join(".|"[int(counts)] for counts in batch.mask[row]) == "....|||"


def test_training_has_all_lengths_and_evaluation_the_longest():
    task = NTMCopy(length=4, eval_lengths=[4, 9], eval_size=6)
    stream = task.train_batches(0, 2)
    assert {next(stream).inputs.shape[1] for _ in range(100)} == {3, 5, 7, 9}
    assert task.steps == 9 == task.validation().inputs.shape[1]
    assert task.test(9).inputs.shape == (6, 19, 9)


def test_errors_are_counted_where_targets_count():
    task, batch = NTMCopy(bits=2), draw(3, bits=2, rows=2)
    said = 2 * batch.targets - 1
    said[:, :4] = 5.0  # while it reads, anything may be said
    said[1, 4:6, 0] *= -1
    errors, weights = task.measure(said, batch)["bit_errors"]
    assert errors.tolist() == [0, 2] and weights.tolist() == [1, 1]


def test_the_baseline_is_that_of_a_coin():
    assert NTMCopy().baseline_loss(20) == math.log(2)


def test_bad_values_are_refused(make_task):
    assert make_task("task=ntm_copy").eval_lengths == (20, 40, 80, 120)
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least 1"):
        NTMCopy(length=0)
    with pytest.raises(ConfigError, match=r"task.bits=0 leaves nothing to copy; give at least 1"):
        NTMCopy(bits=0)
