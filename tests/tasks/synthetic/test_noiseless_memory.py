"""Noiseless memory."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.synthetic.noiseless_memory import NoiselessMemory


def draw(variant, length, rows=500):
    task = NoiselessMemory(length=length, variant=variant)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize(("variant", "symbols", "alphabet"), [("5bit", 5, 2), ("20bit", 10, 5)])
@pytest.mark.parametrize("length", [1, 2, 30])
def test_the_pattern_comes_again_after_the_cue(variant, symbols, alphabet, length):
    batch = draw(variant, length)
    assert batch.inputs.shape == batch.targets.shape == (500, length + 2 * symbols)
    blank, cue = alphabet, alphabet + 1
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        pattern = given[:symbols]
        assert all(symbol < alphabet for symbol in pattern)
        assert given[symbols:] == [blank] * (length - 1) + [cue] + [blank] * symbols
        assert target == [blank] * (symbols + length) + pattern


def test_all_patterns_of_five_bits_are_equally_likely():
    counts = Counter(map(tuple, draw("5bit", 3, rows=3200).inputs[:, :5].tolist()))
    assert len(counts) == 32
    assert all(abs(n - 100) < 5 * math.sqrt(100) for n in counts.values())
    assert len(set(map(tuple, NoiselessMemory().validation().inputs[:, :5].tolist()))) == 32


def test_the_docstrings_example():
    batch = draw("5bit", 5)
    (row,) = (batch.inputs[:, :5] == torch.tensor([1, 0, 0, 1, 1])).all(1).nonzero()[0]
    drawn = ["".join("01_|"[token] for token in side[row].tolist()) for side in batch[:2]]
    assert drawn == ["10011____|_____", "__________10011"]


def test_a_sequence_is_correct_where_every_step_is():
    task = NoiselessMemory(length=1)
    pattern = [1, 0, 0, 1, 1]
    target = torch.tensor([[2] * 6 + pattern] * 3)
    said = target.clone()
    said[1, 2] = 0  # speaks too early, and recalls all
    said[2, -1] = 0
    measures = task.measure(torch.nn.functional.one_hot(said, 3).float(), Batch(target, target))
    assert measures["correct"][0].tolist() == [1, 0, 0] and measures["correct"][1].tolist() == [1, 1, 1]
    assert measures["accuracy"][0].mean(1).tolist() == pytest.approx([1, 1, 0.8])


def test_the_baseline_is_that_of_guessing_the_pattern():
    assert NoiselessMemory().baseline_loss(30) == pytest.approx(5 * math.log(2) / 40)
    assert NoiselessMemory(variant="20bit").baseline_loss(30) == pytest.approx(10 * math.log(5) / 50)


def test_bad_values_are_refused(make_task):
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least 1"):
        NoiselessMemory(length=0)
    with pytest.raises(ConfigError, match=r"task.variant=6bit must be 5bit or 20bit"):
        make_task("task=noiseless_memory", "task.variant=6bit")
