"""Random permutation."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.synthetic.random_permutation import RandomPermutation


def draw(variant, length, rows=500):
    task = RandomPermutation(length=length, variant=variant)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize("length", [2, 5, 30])
def test_the_first_symbol_is_the_last_target_and_the_rest_are_random(length):
    batch, last = draw("every", length), draw("last", length)
    assert batch.inputs.shape == batch.targets.shape == (500, length)
    assert torch.equal(last.inputs, batch.inputs) and torch.equal(last.targets, batch.targets[:, -1])
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert given[0] in (0, 1)
        assert all(2 <= symbol < 100 for symbol in given[1:])
        assert target == [*given[1:], given[0]]


def test_symbols_are_equally_likely():
    batch = draw("every", 50, rows=2000)
    firsts, others = Counter(batch.inputs[:, 0].tolist()), Counter(batch.inputs[:, 1:].flatten().tolist())
    assert len(others) == 98
    for counts, total in [(firsts, 2000), (others, 2000 * 49)]:
        expected = total / len(counts)
        assert all(abs(n - expected) < 5 * math.sqrt(expected) for n in counts.values())


def test_accuracy_is_of_the_last_step_and_the_loss_over_all():
    task = RandomPermutation(length=3, alphabet=4)
    batch = Batch(torch.tensor([[0, 2, 3], [1, 3, 3]]), torch.tensor([[2, 3, 0], [3, 3, 1]]))
    said = torch.tensor([[0, 0, 0], [3, 3, 3]])  # the first row is wrong but at the end, the second is right
    measures = task.measure(10.0 * torch.nn.functional.one_hot(said, 4), batch)
    assert measures["accuracy"][0].tolist() == [[1], [0]] and measures["accuracy"][1].tolist() == [[1], [1]]
    assert (measures["loss"][0] > 5).tolist() == [[True, True, False], [False, False, True]]
    last = RandomPermutation(length=3, alphabet=4, variant="last")
    one = Batch(batch.inputs, batch.targets[:, -1])
    measures = last.measure(10.0 * torch.nn.functional.one_hot(said[:, -1], 4), one)
    assert measures["accuracy"][0].tolist() == [1, 0]


def test_the_baseline_by_hand():
    assert RandomPermutation().baseline_loss(4) == pytest.approx((3 * math.log(98) + math.log(2)) / 4)
    assert RandomPermutation(variant="last").baseline_loss(4) == pytest.approx(math.log(2))


def test_bad_values_are_refused(make_task):
    RandomPermutation(length=2, alphabet=3)
    for bad, message in [
        ({"length": 1}, r"task.length=1 is too short .* at least 2"),
        ({"alphabet": 2}, "task.alphabet=2 leaves none"),
    ]:
        with pytest.raises(ConfigError, match=message):
            RandomPermutation(**bad)
    with pytest.raises(ConfigError, match=r"task.variant=first must be every or last"):
        make_task("task=random_permutation", "task.variant=first")
