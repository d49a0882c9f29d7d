"""The order in which trees are worked through, against recursions over trees that a test can read."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqbench.models.trees.levels import binary, by_depth, gather_children, look_up, read
from tests.models.trees.tree_reference import batch_of, flat, forest

#: [ MAX 2 [ MIN 7 4 ] 0 ], and one token.
EXAMPLE = torch.tensor([[-2, -1, 1, -2, 1, 4, 4, -2, 1, -2], [-1, *[-2] * 9]])


def balanced(depth: int) -> tuple[int, list]:
    """A tree in which every node above the leaves has two children."""
    return (3, [balanced(depth - 1), balanced(depth - 1)] if depth else [])


def doubled(times: int) -> tuple[int, list]:
    """A tree that is one of half its size, with another such as its last child: ((w x) (y z)) in nodes."""
    if times == 0:
        return (3, [])
    token, children = doubled(times - 1)
    return (token, [*children, doubled(times - 1)])


def test_levels_of_the_docstrings_example():
    levels = by_depth(read(EXAMPLE))
    assert [level.places.tolist() for level in levels] == [[1, 10], [2, 4, 8], [5, 6]]
    assert [level.inner.tolist() for level in levels] == [[0], [1], []]
    assert [level.owners.tolist() for level in levels] == [[0, 0, 0], [0, 0], []]
    assert [level.ranks.tolist() for level in levels] == [[0, 1, 2], [0, 1], []]


def test_levels_are_the_depths_and_the_children_of_random_trees():
    trees = forest()
    _, _, parents = batch_of(trees)
    steps = parents.shape[1]
    depths, children = {}, {}
    for row, tree in enumerate(trees):
        for place, parent in enumerate(flat(tree)[1]):
            if parent != -2:
                depths[row * steps + place] = 0 if parent == -1 else depths[row * steps + parent] + 1
                children[row * steps + place] = []
            if parent >= 0:
                children[row * steps + parent].append(row * steps + place)
    levels = by_depth(read(parents))
    assert len(levels) == 21 and sum(len(level.places) for level in levels) == len(depths)
    roots = [row * steps + flat(tree)[1].index(-1) for row, tree in enumerate(trees)]
    assert levels[0].places.tolist() == roots
    for depth, level in enumerate(levels):
        assert {depths[place] for place in level.places.tolist()} == {depth}
        below = levels[depth + 1].places.tolist() if depth + 1 < len(levels) else []
        found = {place: {} for place in level.places[level.inner].tolist()}
        for place, owner, rank in zip(below, level.owners.tolist(), level.ranks.tolist(), strict=True):
            found[level.places[level.inner[owner]].item()][rank] = place
        expected = {place: children[place] for place in level.places.tolist() if children[place]}
        assert {place: [mine[k] for k in range(len(mine))] for place, mine in found.items()} == expected


def test_binary_trees_are_nodes_applied_to_their_children():
    trees = forest()
    inputs, _, parents = batch_of(trees)
    nodes = binary(read(parents))
    tokens = inputs.flatten()[nodes.places].tolist()
    pairs: dict[int, dict[int, int]] = {}
    for number, (parent, rank) in enumerate(zip(nodes.parent.tolist(), nodes.rank.tolist(), strict=True)):
        pairs.setdefault(parent, {})[rank if parent >= 0 else number] = number

    def written(number):
        if number not in pairs:
            return tokens[number]
        assert set(pairs[number]) == {0, 1}
        return (written(pairs[number][0]), written(pairs[number][1]))

    def applied(tree):
        found = tree[0]
        for child in tree[1]:
            found = (found, applied(child))
        return found

    roots = sorted(pairs[-1], key=lambda number: nodes.places[number])
    assert [written(root) for root in roots] == [applied(tree) for tree in trees]
    assert len(tokens) == 2 * len(read(parents).places) - len(trees)


@pytest.mark.parametrize("times", range(8))
def test_a_balanced_tree_is_the_logarithm_of_its_leaves_deep(times):
    """The chapter: depth falls from τ to O(log τ). In binary trees all tokens are leaves."""
    _, _, parents = batch_of([balanced(times)])
    assert len(by_depth(read(parents))) - 1 == times  # of 2^times leaves
    _, _, parents = batch_of([doubled(times)])
    nodes = read(parents)
    assert len(nodes.places) == 2**times
    assert len(by_depth(binary(nodes))) - 1 == times
    _, _, parents = batch_of([(3, [(4, [])] * (2**times - 1))])
    assert len(by_depth(binary(read(parents)))) - 1 == 2**times - 1  # what a chain of as many tokens has


def test_gathered_children_and_tokens_looked_up():
    levels = by_depth(read(EXAMPLE))
    states = torch.arange(1.0, 7).view(3, 2)
    assert gather_children(states, levels[0], 4).tolist() == [[1, 2, 3, 4, 5, 6, 0, 0]]
    assert gather_children(states[:0], levels[2], 4).shape == (0, 8)
    table = nn.Parameter(torch.randn(20, 3))
    inputs = torch.arange(20).view(2, 10)
    found = look_up(table, inputs, levels)
    for rows, level in zip(found, levels, strict=True):
        assert torch.equal(rows, table[level.places])
    sum(rows.sum() for rows in found).backward()
    assert table.grad.sum(1).nonzero()[:, 0].tolist() == [1, 2, 4, 5, 6, 8, 10]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([-2, -2, -2], r"Row 1 of parents has 0 roots \(−1\); a tree has one\."),
        ([-1, 0, -1], r"Row 1 of parents has 2 roots \(−1\); a tree has one\."),
        ([1, 0, -2], r"Row 1 of parents has 0 roots"),
        ([-1, 2, 1], r"Row 1 of parents has 2 at token 1; a parent is a node that precedes"),
        ([-1, 1, 0], r"Row 1 of parents has 1 at token 1"),
        ([-1, -2, 1], r"Row 1 of parents has 1 at token 2; a parent is a node"),
        ([-1, 0, 3], r"Row 1 of parents has 3 at token 2"),
        ([-1, 0, -3], r"Row 1 of parents has -3 at token 2"),
    ],
    ids=["nothing", "two roots", "a circle", "a circle beside a root", "itself", "no node", "outside", "−3"],
)
def test_what_is_no_tree_is_refused(row, message):
    with pytest.raises(ValueError, match=message):
        read(torch.tensor([[-1, 0, 1], row]))
