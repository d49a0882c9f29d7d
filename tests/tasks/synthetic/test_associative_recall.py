"""Associative recall."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice, permutations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.associative_recall import AssociativeRecall, distinct


def draw(length, item_length=3, bits=6, rows=200):
    task = AssociativeRecall(item_length=item_length, bits=bits, length=max(2, length))
    return task.draw(torch.Generator().manual_seed(0), rows, length)


def read(vectors, bits):
    """Take a sequence apart as a reader would, by its marks: items, query, and the steps of the answer."""
    items, query, marks = [], [], 0
    answer = []
    for t, vector in enumerate(vectors):
        *text, item_mark, query_mark = vector
        if item_mark or query_mark:
            assert not any(text) and item_mark + query_mark == 1
        if item_mark:
            assert marks == 0
            items.append([])
        elif query_mark:
            marks += 1
        elif marks == 2:
            assert not any(text)
            answer.append(t)
        else:
            (query if marks else items[-1]).append(text)
        assert len(text) == bits
    assert marks == 2
    return items, query, answer


@pytest.mark.parametrize("length", [2, 3, 6, 12])
@pytest.mark.parametrize(("item_length", "bits"), [(3, 6), (1, 4)])
def test_the_item_after_the_query_is_due(length, item_length, bits):
    batch = draw(length, item_length, bits)
    steps = length * (item_length + 1) + 2 * item_length + 2
    assert batch.inputs.shape == (200, steps, bits + 2) and batch.targets.shape == (200, steps, bits)
    asked = Counter()
    rows = zip(*(part.tolist() for part in (batch.inputs, batch.targets, batch.mask)), strict=True)
    for vectors, targets, mask in rows:
        items, query, answer = read(vectors, bits)
        assert [len(item) for item in (*items, query, answer)] == [item_length] * (length + 2)
        assert all(a != b for i, a in enumerate(items) for b in items[:i])
        asked[items.index(query)] += 1
        assert [targets[t] for t in answer] == items[items.index(query) + 1]
        assert [t for t in range(steps) if mask[t]] == answer
    assert set(asked) <= set(range(length - 1))
    expected = 200 / (length - 1)
    assert all(abs(asked[i] - expected) < 5 * math.sqrt(expected) for i in range(length - 1))


def test_the_docstrings_example():
    batch = draw(3, item_length=2, bits=2, rows=60_000)
    drawn = [
        ".10.00.11.10...",
        ".11.01.01.11...",
        "1..1..1........",
        ".........1..1..",
        ".............00",
        ".............01",
    ]
    wanted = torch.tensor([[float(c == "1") for c in line] for line in drawn])
    channels = torch.cat([batch.inputs, batch.targets], dim=2).transpose(1, 2)
    (row, *_) = (channels == wanted).flatten(1).all(1).nonzero()[0]
    assert batch.mask[row].tolist() == [t >= 13 for t in range(15)]


def test_training_has_all_numbers_of_items_alike():
    task = AssociativeRecall(length=4)
    batches = list(islice(task.train_batches(0, 2), 1500))
    counts = Counter(batch.inputs.shape[1] for batch in batches)
    assert set(counts) == {4 * n + 8 for n in (2, 3, 4)}
    assert all(abs(n - 500) < 5 * math.sqrt(500) for n in counts.values())
    assert task.steps == 24 == task.validation().inputs.shape[1]


def test_bits_are_fair():
    batch = draw(4, rows=2000)
    said = batch.targets[batch.mask]
    assert said.mean(0).tolist() == pytest.approx([0.5] * 6, abs=5 * 0.5 / math.sqrt(len(said)))
    assert AssociativeRecall().baseline_loss(6) == math.log(2)


@pytest.mark.parametrize(("count", "size"), [(1, 3), (2, 3), (3, 3), (2, 5), (3, 5)])
def test_distinct_draws_all_orders_alike(count, size):
    found = Counter(map(tuple, distinct(torch.Generator().manual_seed(0), 30_000, count, size).tolist()))
    orders = list(permutations(range(size), count))
    expected = 30_000 / len(orders)
    assert set(found) == set(orders)
    # The sum of squared deviations is a χ² with as many degrees of freedom as there are orders, less one.
    free = len(orders) - 1
    assert sum((n - expected) ** 2 / expected for n in found.values()) < free + 5 * math.sqrt(2 * free)


def test_distinct_takes_large_numbers():
    drawn = distinct(torch.Generator().manual_seed(0), 1000, 12, 2**62)
    assert drawn.min() >= 0 and drawn.max() < 2**62 and drawn.max() > 2**61
    assert all(len(set(row)) == 12 for row in drawn.tolist())


def test_errors_are_counted_in_the_answer():
    task = AssociativeRecall()
    batch = draw(2, rows=3)
    said = 2 * batch.targets - 1
    said[:, :-3] = 5.0  # while it reads, anything may be said
    said[1, -1, :2] *= -1
    said[2, -3:] *= -1
    assert task.measure(said, batch)["bit_errors"][0].tolist() == [0, 2, 18]


def test_bad_values_are_refused(make_task):
    assert make_task("task=associative_recall").eval_lengths == (2, 3, 4, 5, 6, 8, 10, 12)
    with pytest.raises(ConfigError, match=r"task.length=1 is too short .* at least 2"):
        AssociativeRecall(length=1)
    with pytest.raises(ConfigError, match=r"task.item_length=0 leaves nothing .* at least 1"):
        AssociativeRecall(item_length=0)
    with pytest.raises(ConfigError, match=r"task.bits=0 leaves nothing .* at least 1"):
        AssociativeRecall(bits=0)
    AssociativeRecall(length=8, item_length=1, bits=3)
    with pytest.raises(ConfigError, match=r"items of 3 bits; give 4, so that 9 items can differ .*, to 62"):
        AssociativeRecall(length=8, eval_lengths=[9], item_length=1, bits=3)
    AssociativeRecall(item_length=31, bits=2).validation()
    with pytest.raises(
        ConfigError, match=r"task.item_length=9 and task.bits=7 make items of 63 bits; give 3"
    ):
        AssociativeRecall(item_length=9, bits=7)
