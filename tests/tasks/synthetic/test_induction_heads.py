"""Induction heads."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.induction_heads import InductionHeads


def draw(length, alphabet=15, rows=300):
    task = InductionHeads(length=length, alphabet=alphabet)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize(("length", "alphabet"), [(64, 15), (3, 2), (9, 4)])
def test_what_followed_the_special_token_is_due(length, alphabet):
    batch = draw(length, alphabet)
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert given.count(alphabet) == 2 and given[-1] == alphabet
        assert target == given[given.index(alphabet) + 1] < alphabet


def test_the_docstrings_example():
    batch = draw(5, 8, rows=50_000)
    (row, *_) = (batch.inputs == torch.tensor([4, 8, 7, 3, 8])).all(1).nonzero()[0]
    assert batch.targets[row] == 7
    assert InductionHeads(alphabet=8).token_names()[0][8] == "|"


def test_the_first_special_token_is_anywhere_but_at_the_last_two_steps():
    task = InductionHeads(length=12)
    batch = task.sample(torch.Generator().manual_seed(0), 10_000, 12)
    first = (batch.inputs == 15).int().argmax(1)
    places = Counter(first.tolist())
    assert set(places) == set(range(10)) and all(abs(n - 1000) < 150 for n in places.values())
    distances = 11 - (first + 1)
    assert (int(distances.min()), int(distances.max())) == task.span.dependency(12)


def test_bad_values_are_refused():
    with pytest.raises(ConfigError, match=r"task.alphabet=1 leaves nothing to tell apart"):
        InductionHeads(alphabet=1)
    with pytest.raises(ConfigError, match=r"task.length=2 is too short .* at least 3"):
        InductionHeads(length=2)
