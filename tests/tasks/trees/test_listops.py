"""ListOps."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from itertools import islice, product

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from seqbench.errors import ConfigError
from seqbench.tasks.trees.base import Node, Trees, encode, written
from seqbench.tasks.trees.listops import ListOps, median, orders
from tests.tasks.trees import tree_reference
from tests.tasks.trees.tree_reference import from_brackets, rows_of


def evaluate(tree: tuple) -> int:
    """Say the value of a tree `(token, child, …)`, as the paper defines the operators."""
    name, *children = tree
    values = [evaluate(child) for child in children]
    if not values:
        return int(name)
    if name == "MED":
        return math.floor(statistics.median(values))
    return {"MAX": max, "MIN": min, "SUM_MOD": lambda digits: sum(digits) % 10}[name](values)


def evaluate_text(text: str) -> int:
    return int(tree_reference.evaluate_text(text, lambda tree: str(evaluate(tree))))


def trees_of(batch, task):
    return rows_of(batch, task.vocabulary)


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
def test_target_is_the_value_by_brackets_and_by_parents(depth):
    task = ListOps(eval_lengths=[depth], eval_size=150)
    batch = task.test(depth)
    token_of = {number: token for token, number in task.vocabulary.items()}
    for row, (brackets, parents, target) in enumerate(trees_of(batch, task)):
        text = " ".join(token_of[token] for token in batch.inputs[row, : batch.lengths[row]].tolist())
        assert evaluate_text(text) == evaluate(brackets) == evaluate(parents) == target


def test_training_targets_too():
    task = ListOps(length=4)
    for batch in islice(task.train_batches(0, 8), 30):
        for brackets, parents, target in trees_of(batch, task):
            assert evaluate(brackets) == evaluate(parents) == target


def test_operators():
    assert [median([3, 9]), median([9, 3, 4]), median([1, 8, 4, 3]), median([2, 3]), median([5, 5])] == [
        *(6, 4, 3, 2, 5)
    ]
    for digits in product(range(4), repeat=4):
        assert median(digits) == math.floor(statistics.median(digits))
    assert [orders(()), orders((1, 1)), orders((1, 2, 2)), orders((0, 1, 2, 2, 2))] == [1, 1, 3, 20]


def test_the_docstrings_examples():
    drawn = ListOps.__doc__
    for text, value in [
        ("[ MAX 2 9 [ MIN 4 7 ] 0 ]", 9),
        ("[ SUM_MOD 3 8 [ MED 2 [ MAX 5 1 ] 4 ] ]", 5),
    ]:
        assert text in drawn and f"class {value}" in drawn
        assert evaluate_text(text) == evaluate(from_brackets(text.split())) == value
    example = encode([Node("MAX", (Node("2"), Node("9")))], [9], ListOps().vocabulary, 6)
    assert written(Node("MAX", (Node("2"), Node("9"))))[0] == ["[", "MAX", "2", "9", "]"]
    assert trees_of(example, ListOps())[0][0] == ("MAX", ("2",), ("9",))


def test_operators_arguments_and_digits_have_the_chances_of_the_generator():
    """At depth 1 nothing is conditioned on: five to eight tokens, four operators, ten digits."""
    task = ListOps(length=1, eval_size=3000)
    trees = [tree for tree, _, _ in trees_of(task.test(1), task)]
    for counts, kinds in [
        (Counter(name for name, *_ in trees), 4),
        (Counter(len(children) for _, *children in trees), None),
        (Counter(digit for _, *children in trees for (digit,) in children), 10),
    ]:
        if kinds is None:  # of k arguments all must be digits, by chance (3/4)^k
            shares = {k: 0.75**k / sum(0.75**j for j in range(2, 6)) for k in range(2, 6)}
        else:
            shares = dict.fromkeys(counts, 1 / kinds)
        assert set(counts) == set(shares) and len(shares) == (kinds or 4)
        for kind, share in shares.items():
            assert counts[kind] / counts.total() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("max_arguments", [2, 3, 5])
def test_specs(max_arguments):
    task = ListOps(max_arguments=max_arguments, eval_size=100)
    assert task.inputs == Trees(17, children=max_arguments) and task.kind == "tree"
    assert task.targets.size == 10 and not task.targets.per_step
    assert task.vocabulary["_"] == 0 and sorted(task.vocabulary.values()) == list(range(17))
    counts = Counter(len(tree) - 1 for tree, _, _ in trees_of(task.test(5), task))
    assert set(counts) == set(range(2, max_arguments + 1))


def test_baseline_at_depth_one_is_that_of_all_lists():
    """All lists of two or three digits, with the chance of each: three in four arguments are digits."""
    chances: Counter = Counter()
    for number in (2, 3):
        for digits in product(range(10), repeat=number):
            for name in ("MAX", "MIN", "MED", "SUM_MOD"):
                tree = (name, *((str(digit),) for digit in digits))
                chances[evaluate(tree)] += (0.75 / 10) ** number
    total = chances.total()
    expected = -sum(chance / total * math.log(chance / total) for chance in chances.values())
    task = ListOps(length=1, max_arguments=3, eval_lengths=[1, 4])
    assert task.baseline_loss(1) == pytest.approx(expected, rel=1e-12)
    assert ListOps(length=1, max_arguments=3).baseline_loss(1) == pytest.approx(expected, rel=1e-12)
    assert task.baseline_loss(4) != pytest.approx(expected, rel=1e-4)


def test_baseline_at_depth_two_is_that_of_all_trees_there_is_room_for():
    """With nine tokens one argument of two is an operation, which has two digits: 32,000 trees."""
    names, digits = ("MAX", "MIN", "MED", "SUM_MOD"), [(str(digit),) for digit in range(10)]
    inner = [evaluate((name, a, b)) for name in names for a in digits for b in digits]
    values = Counter()
    for name, digit, value in product(names, digits, inner):
        values[evaluate((name, digit, (str(value),)))] += 1
        values[evaluate((name, (str(value),), digit))] += 1
    expected = -sum(number / 32_000 * math.log(number / 32_000) for number in values.values())
    assert values.total() == 32_000
    assert ListOps(length=2, max_tokens=9).baseline_loss(2) == pytest.approx(expected, rel=1e-12)
    assert ListOps(length=2, max_tokens=10).baseline_loss(2) != pytest.approx(expected, rel=1e-12)


def test_values_come_as_often_as_the_baseline_says():
    task = ListOps(length=3, eval_size=2000)
    shares = (task._values[3] - task._values[2]).sum(1)
    assert shares.sum() == pytest.approx(task.shapes.exact[3].sum(), rel=1e-9)
    shares /= shares.sum()
    assert task.baseline_loss(3) == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-12)
    counts = torch.bincount(task.test(3).targets, minlength=10)
    assert chisquare(counts.numpy(), 2000 * shares).pvalue > 0.001


def test_bad_values_are_refused():
    ListOps(length=1, max_arguments=2)
    for bad, message in [
        ({"length": 0}, r"task.length=0 is too short .* at least 1"),
        ({"max_arguments": 1}, r"task.max_arguments=1 leaves no list; give at least 2"),
        ({"max_tokens": 20}, r"task.max_tokens=20 is too few for trees of depth 5 .*; give at least 21"),
        ({"eval_size": 0}, r"task.eval_size=0 leaves nothing"),
    ]:
        with pytest.raises(ConfigError, match=message):
            ListOps(**bad)
