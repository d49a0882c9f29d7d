"""Random expressions: what chance each shape has, and how batches are padded."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from functools import cache
from itertools import islice, product
from random import Random

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.trees.expressions import ExpressionTask, Shapes, size_ranges
from seqbench.tasks.trees.listops import ListOps
from seqbench.tasks.trees.logic_trees import LogicTrees
from tests.tasks.trees.tree_reference import depth_of, rows_of, tokens_of

OPERATOR, ARGUMENTS = Fraction(1, 3), {1: Fraction(1, 4), 2: Fraction(1, 2), 3: Fraction(1, 4)}
every_task = pytest.mark.parametrize("task_class", [ListOps, LogicTrees])


@cache
def all_shapes(depth: int) -> dict[tuple, Fraction]:
    """Every shape of at most a depth, with its chance, by enumeration."""
    found = {(): 1 - OPERATOR}
    for number, share in ARGUMENTS.items() if depth else ():
        for children in product(all_shapes(depth - 1).items(), repeat=number):
            shape = tuple(child for child, _ in children)
            found[shape] = OPERATOR * share * math.prod(chance for _, chance in children)
    return found


def depth_and_tokens(shape: tuple) -> tuple[int, int]:
    below = [depth_and_tokens(child) for child in shape]
    if not below:
        return 0, 1
    return 1 + max(depth for depth, _ in below), 3 + sum(tokens for _, tokens in below)


def shapes(depth: int, tokens: int) -> Shapes:
    return Shapes(float(OPERATOR), {k: float(share) for k, share in ARGUMENTS.items()}, depth, tokens)


def test_chances_of_sizes_are_those_of_all_shapes():
    """A thousand shapes of up to two levels, of which those with more than 20 tokens do not count."""
    expected: Counter = Counter()
    for shape, chance in all_shapes(2).items():
        expected[depth_and_tokens(shape)] += chance
    assert max(tokens for _, tokens in expected) > 20
    found = shapes(2, 20)
    for depth, tokens in product(range(3), range(21)):
        assert found.exact[depth][tokens] == pytest.approx(float(expected[depth, tokens]), abs=1e-15)
        if not expected[depth, tokens]:
            assert found.exact[depth][tokens] == 0  # what cannot be has no chance, not even by rounding
    assert found.within[2] == pytest.approx(sum(found.exact))


def test_shapes_of_a_size_come_as_often_as_their_chances_say():
    drawn = shapes(3, 30)
    random = Random(0)
    for depth, tokens in [(1, 5), (2, 10), (2, 14)]:
        among = {s: p for s, p in all_shapes(2).items() if depth_and_tokens(s) == (depth, tokens)}
        counts = Counter(drawn.draw(random, depth, tokens) for _ in range(3000))
        assert set(counts) <= set(among) and len(among) >= (1 if depth == 1 else 5)
        total = sum(among.values())
        for shape, chance in among.items():
            expected = float(3000 * chance / total)
            assert abs(counts[shape] - expected) < 5 * math.sqrt(expected) + 1


def test_all_of_depth_and_tokens_are_as_asked_for():
    drawn, random = shapes(6, 50), Random(1)
    for depth, tokens in [(0, 1), (1, 6), (4, 13), (5, 50), (6, 40)]:
        for _ in range(50):
            assert depth_and_tokens(drawn.draw(random, depth, tokens)) == (depth, tokens)


def test_ranges_of_sizes_are_narrow_and_leave_nothing_out():
    for longest in range(1, 200):
        ranges = size_ranges(longest)
        sizes = [size for low, high in ranges for size in range(low, high + 1)]
        assert sorted(sizes) == list(range(1, longest + 1))
        assert all(low >= 0.75 * high for low, high in ranges)
    assert size_ranges(17) == [(13, 17), (9, 12), (6, 8), (4, 5), (3, 3), (2, 2), (1, 1)]


@cache
def training(task_class: type[ExpressionTask]) -> tuple[ExpressionTask, list[Batch], list[tuple[int, int]]]:
    """A task, training batches of four trees, and the depth and tokens of each tree."""
    task = task_class()
    batches = list(islice(task.train_batches(0, 4), 800))
    trees = [tree for batch in batches for tree, _, _ in rows_of(batch, task.vocabulary)]
    return task, batches, [(depth_of(tree), tokens_of(tree)) for tree in trees]


@every_task
def test_training_batches_are_hardly_padded_and_of_one_shape_for_all_seeds(task_class):
    task, batches, _ = training(task_class)
    padding = 1 - sum(int(b.lengths.sum()) for b in batches) / sum(b.inputs.numel() for b in batches)
    assert padding < 0.2
    assert all((b.lengths >= 0.75 * b.inputs.shape[1]).all() for b in batches)
    others = list(islice(task.train_batches(1, 4), 100))
    assert [b.inputs.shape for b in batches[:100]] == [b.inputs.shape for b in others]
    assert len({b.inputs.shape for b in others}) > 5
    assert not any(torch.equal(a.inputs, b.inputs) for a, b in zip(batches[:20], others, strict=False))


@every_task
def test_training_depths_are_equally_likely_on_the_whole(task_class):
    """Though each batch has a size of its own, to which some depths are nearer than others."""
    _, batches, trees = training(task_class)
    depths = Counter(depth for depth, _ in trees)
    assert set(depths) == {1, 2, 3, 4, 5}
    # The trees of a batch are alike in size, so that the deviation is that of the number of batches.
    tolerance = 5 * math.sqrt(0.16 / len(batches))
    assert all(abs(count / depths.total() - 0.2) < tolerance for count in depths.values())


@every_task
def test_sizes_of_a_depth_are_in_training_as_in_the_test(task_class):
    task, _, trees = training(task_class)
    train = [tokens for depth, tokens in trees if depth == 2]
    test = task.sample(torch.Generator().manual_seed(0), 1000, 2).lengths.float()
    assert len(train) > 500 and sum(train) / len(train) == pytest.approx(test.mean().item(), rel=0.1)
    assert min(train) == test.min() and max(train) > 1.4 * sum(train) / len(train)


@every_task
def test_tests_are_of_just_one_depth(task_class):
    task = task_class(eval_lengths=[1, 2, 5, 8], eval_size=50)
    for depth in (1, 2, 5, 8):
        batch = task.test(depth)
        trees = [tree for tree, _, _ in rows_of(batch, task.vocabulary)]
        assert {depth_of(tree) for tree in trees} == {depth}
        assert [tokens_of(tree) for tree in trees] == batch.lengths.tolist()
        assert batch.inputs.shape[1] == task.most_tokens(depth) <= 60
    assert {depth_of(tree) for tree, _, _ in rows_of(task.validation(), task.vocabulary)} == {5}


@pytest.mark.parametrize(("task_class", "least"), [(ListOps, 33), (LogicTrees, 25)])
def test_room_for_the_deepest_trees_is_needed(task_class, least):
    task = task_class(eval_lengths=[8], eval_size=3, max_tokens=least)
    assert task.test(8).lengths.tolist() == [least] * 3
    with pytest.raises(
        ConfigError, match=rf"max_tokens={least - 1} is too few for trees of depth 8 .*; .* {least}\."
    ):
        task_class(eval_lengths=[8], max_tokens=least - 1)
