"""What tasks share whose training batches are each of one size."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice

import torch

from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Bits, Vectors
from seqbench.tasks.streams.mixed import MixedSizesTask, uniform


class Echo(MixedSizesTask):
    """Random bits, as many as the size says, each of which is its own target."""

    def __init__(self, length=5, eval_lengths=None, eval_size=10):
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=1)
        self.variant = "bits"
        self.inputs = Vectors(1)
        self.targets = Bits(1, per_step=True)

    def size(self, generator):
        return (uniform(generator, 2, self.length),)

    def draw(self, generator, batch_size, *size):
        bits = torch.randint(2, (batch_size, *size, 1), generator=generator).float()
        return Batch(bits, bits)

    def baseline_loss(self, length):
        return math.log(2)

    def solved(self, metrics):
        return metrics["bit_errors"] == 0


def training(seed, steps, start=0, rows=64):
    return list(islice(Echo().train_batches(seed, rows, start), steps))


def test_a_batch_has_one_size_and_all_come_up_alike():
    batches = training(0, 2000, rows=3)
    counts = Counter(batch.inputs.shape for batch in batches)
    assert set(counts) == {(3, n, 1) for n in (2, 3, 4, 5)}
    assert all(abs(n - 500) < 5 * math.sqrt(500) for n in counts.values())


def test_seeds_share_sizes_and_nothing_else():
    for ours, theirs in zip(training(0, 50), training(1, 50), strict=True):
        assert ours.inputs.shape == theirs.inputs.shape
        assert not torch.equal(ours.inputs, theirs.inputs)


def test_batches_follow_from_seed_and_step():
    batches = training(3, 40)
    for start in (0, 1, 16, 37):
        for resumed, batch in zip(training(3, 3, start), batches[start:], strict=False):
            assert torch.equal(resumed.inputs, batch.inputs)


def test_evaluation_is_at_exact_sizes():
    task = Echo(length=5, eval_lengths=[2, 5, 9], eval_size=7)
    assert task.validation().inputs.shape == (7, 5, 1)
    assert [task.test(n).inputs.shape for n in task.eval_lengths] == [(7, 2, 1), (7, 5, 1), (7, 9, 1)]


def test_uniform_draws_from_both_ends_and_between():
    drawn = Counter(uniform(generator("train", i), 3, 5) for i in range(3000))
    assert set(drawn) == {3, 4, 5}
    assert all(abs(n - 1000) < 5 * math.sqrt(1000) for n in drawn.values())
    assert uniform(generator("train", 0), 1, 1) == 1
