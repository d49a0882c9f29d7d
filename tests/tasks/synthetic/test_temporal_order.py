"""Temporal order."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.temporal_order import TemporalOrder

#: First and last step of each symbol at length 100, as published.
SCALED = {2: [(10, 19), (50, 59)], 3: [(10, 19), (30, 39), (60, 69)]}
ORIGINAL = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}
#: The docstring's order of classes.
ORDERS = {2: ["XX", "YX", "XY", "YY"], 3: ["XXX", "YXX", "XYX", "YYX", "XXY", "YXY", "XYY", "YYY"]}
NAMES = "XYabcdEB"


def draw(variant, symbols, length, rows):
    task = TemporalOrder(length=length, symbols=symbols, variant=variant)
    batch = task.sample(torch.Generator().manual_seed(0), rows, length)
    steps = [batch.inputs.shape[1]] * rows if batch.lengths is None else batch.lengths.tolist()
    rows = [
        "".join(NAMES[token] for token in row[:n])
        for row, n in zip(batch.inputs.tolist(), steps, strict=True)
    ]
    return batch, rows


@pytest.mark.parametrize("symbols", [2, 3])
@pytest.mark.parametrize("variant", ["scaled", "1997"])
def test_class_is_the_order_and_positions_are_as_published(variant, symbols):
    batch, rows = draw(variant, symbols, 100, 1000)
    intervals = (SCALED if variant == "scaled" else ORIGINAL)[symbols]
    seen = [set() for _ in intervals]
    for row, target in zip(rows, batch.targets.tolist(), strict=True):
        positions = [t for t, name in enumerate(row) if name in "XY"]
        assert "".join(row[t] for t in positions) == ORDERS[symbols][target]
        for t, each in zip(positions, seen, strict=True):
            each.add(t)
    assert [each == set(range(first, last + 1)) for each, (first, last) in zip(seen, intervals, strict=True)]
    assert [(min(each), max(each)) for each in seen] == intervals


def test_1997_starts_with_e_ends_with_b_and_varies_in_length():
    batch, rows = draw("1997", 2, 40, 500)
    assert set(map(len, rows)) == {40, 41, 42, 43, 44} and batch.inputs.shape[1] == 44
    for row in rows:
        assert row[0] == "E" and row[-1] == "B"
        assert row.count("E") == row.count("B") == 1


def test_distractors_are_all_alike():
    batch, rows = draw("scaled", 2, 50, 500)
    text = "".join(rows)
    assert batch.lengths is None and set(text) == set("XYabcd")
    for name in "abcd":
        assert text.count(name) == pytest.approx(500 * 48 / 4, rel=0.05)


def test_the_docstrings_example():
    """Twelve steps over an alphabet of six: a tenth is one step, so that the symbols' places are certain."""
    batch, rows = draw("scaled", 2, 12, 100)
    assert batch.inputs.shape == (100, 12) and batch.targets.shape == (100,)
    for row, target in zip(rows, batch.targets.tolist(), strict=True):
        assert row[1] + row[6] == ORDERS[2][target]


@pytest.mark.parametrize("variant", ["scaled", "1997"])
@pytest.mark.parametrize("symbols", [2, 3])
def test_the_shortest_sequence_holds_every_symbol(variant, symbols):
    _, rows = draw(variant, symbols, 10, 200)
    assert all(sum(name in "XY" for name in row) == symbols for row in rows)


def test_bad_values_are_refused(make_task):
    with pytest.raises(ConfigError, match=r"task.length=9 is too short .* at least 10"):
        TemporalOrder(length=9)
    with pytest.raises(ConfigError, match=r"task.symbols=4 .* 2 or 3"):
        make_task("task=temporal_order", "task.symbols=4")
    with pytest.raises(ConfigError, match=r"task.variant=1998 must be scaled or 1997"):
        make_task("task=temporal_order", "task.variant='1998'")


def test_training_batches_may_have_lengths_of_their_own_and_validation_has_the_longest():
    mixed, other = TemporalOrder(length=14, shortest=11), TemporalOrder(length=14)
    stream = mixed.train_batches(0, 3)
    batches = [next(stream).inputs for _ in range(60)]
    assert {batch.shape[1] for batch in batches} == {11, 12, 13, 14}
    assert {len(batch) for batch in batches} == {3}
    resumed = mixed.train_batches(0, 3, 7)
    assert torch.equal(next(resumed).inputs, batches[7])
    another = mixed.train_batches(1, 3)
    first = next(another).inputs
    assert first.shape == batches[0].shape and not torch.equal(first, batches[0])
    assert torch.equal(mixed.validation().inputs, other.validation().inputs)
    assert next(other.train_batches(0, 3)).inputs.shape == (3, 14)
    for wrong in (9, 15):
        with pytest.raises(ConfigError, match=rf"task\.shortest={wrong} must be at least 10 and at most"):
            TemporalOrder(length=14, shortest=wrong)
