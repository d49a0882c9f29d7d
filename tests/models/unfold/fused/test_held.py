"""What objects hold is equal while nothing changes, and not equal once something did."""

from __future__ import annotations

import math
import random
from json import dumps
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seqbench.models.unfold.fused.held import SMALL, _around, generators_kept, held


class Cyclic:
    def __init__(self) -> None:
        self.me, self.n = self, 0


def change_deep(value: Any) -> None:
    value.a[0]["b"].c = 2


CHANGES = [
    ([1.0, [2.0]], lambda v: v[1].append(3.0)),
    ({"a": (1, {2})}, lambda v: v["a"][1].add(3)),
    (SimpleNamespace(a=[{"b": SimpleNamespace(c=1)}]), change_deep),
    (Cyclic(), lambda v: setattr(v, "n", 1)),
    (np.zeros(3), lambda v: v.fill(1)),
    (np.zeros(10 * SMALL), lambda v: v.fill(1)),
    (random.Random(0), lambda v: v.random()),
    (np.random.default_rng(0), lambda v: v.random()),
    (nn.Linear(2, 2), lambda v: setattr(v, "n", 1)),
    ([lambda: 1, math.nan, len], lambda v: v.pop()),
]


@pytest.mark.parametrize(("value", "change"), CHANGES, ids=[type(value).__name__ for value, _ in CHANGES])
def test_what_an_object_holds_is_equal_until_it_changes(value: Any, change: Any) -> None:
    before = held(value, whole=True)
    assert held(value, whole=True) == before
    change(value)
    assert held(value, whole=True) != before


def test_large_arrays_count_by_what_they_are_where_that_is_asked_often() -> None:
    small, large = np.zeros(3), np.zeros(10 * SMALL)
    before = held([small, large])
    large[0] = 1
    assert held([small, large]) == before
    assert held([small, large.copy()]) != before
    small[0] = 1
    assert held([small, large]) != before


def test_numbers_of_tensors_do_not_count_and_iterators_have_always_moved() -> None:
    x, numbers = torch.zeros(2), iter([1, 2])
    before = held([x])
    x += 1
    assert held([x]) == before and held([torch.zeros(3)]) != before
    assert held(numbers) == held(numbers)
    assert held(numbers, whole=True) != held(numbers, whole=True)


def test_generators_stay_where_they_are() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()
    with pytest.raises(KeyError), generators_kept():
        random.random()
        np.random.rand()
        raise KeyError
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def named(value: Any) -> str:
    return dumps(CHANGES if value else None) + str(SMALL)


def test_what_functions_of_others_use_is_taken_as_it_is() -> None:
    """Such as the caches of a module of Python's, which change at the first use."""
    found = {name.rpartition(".")[2] for name, _ in _around(named, "tests", set())}
    assert found == {"CHANGES", "SMALL"}
