"""Selective copying."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.selective_copy import SelectiveCopy


def draw(length, symbols, rows=300, **settings):
    task = SelectiveCopy(length=length, symbols=symbols, **settings)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize(("length", "symbols", "alphabet"), [(240, 16, 14), (1, 3, 2), (6, 1, 5)])
def test_what_is_no_noise_is_due_in_order(length, symbols, alphabet):
    batch = draw(length, symbols, alphabet=alphabet)
    noise, mark, context = alphabet, alphabet + 1, length + symbols
    assert batch.inputs.shape == (300, context + symbols)
    for given, target, mask in zip(*(part.tolist() for part in batch[:3]), strict=True):
        read = [token for token in given[:context] if token != noise]
        assert given[context:] == [mark] * symbols and max(read) < alphabet
        assert target[context:] == read and len(read) == symbols
        assert mask == [False] * context + [True] * symbols


def test_the_docstrings_example():
    batch = draw(6, 3, rows=200_000, alphabet=8)
    wanted = ["_31789|"[i] for i in (0, 1, 0, 0, 2, 3, 0, 0, 0, 6, 6, 6)]
    tokens = torch.tensor([{"_": 8, "|": 9}.get(name, ord(name) - ord("0")) for name in wanted])
    (row, *_) = (batch.inputs == tokens).all(1).nonzero()[0]
    assert batch.targets[row, -3:].tolist() == [3, 1, 7]


def test_all_places_are_equally_likely():
    batch = draw(3, 2, rows=10_000)
    places = Counter(tuple(row.nonzero()[:, 0].tolist()) for row in batch.inputs[:, :5] != 14)
    assert len(places) == 10  # of 2 symbols among 5 steps
    assert all(abs(count - 1000) < 150 for count in places.values())  # five standard deviations


def test_each_symbol_is_due_as_long_after_as_is_said():
    task = SelectiveCopy(length=4, symbols=2)
    batch = task.sample(torch.Generator().manual_seed(0), 2000, 4)
    read = (batch.inputs[:, :6] != 14).nonzero()[:, 1].view(-1, 2)
    distances = 6 + torch.arange(2) - read
    assert (int(distances.min()), int(distances.max())) == task.span.dependency(4) == (2, 6)


def test_bad_values_are_refused():
    for bad, message in [
        ({"symbols": 0}, "task.symbols=0 leaves nothing to copy"),
        ({"alphabet": 1}, "task.alphabet=1 leaves nothing to tell apart"),
    ]:
        with pytest.raises(ConfigError, match=message):
            SelectiveCopy(**bad)
