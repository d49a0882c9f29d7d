"""The trees of a batch, in the order in which a recursive network processes them.

The shapes of the results depend on the trees, and `torch.func.vmap` needs one shape: models of trees cannot
be vectorised over seeds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

#: The value of `parents` at a root, and at a token that is not a node.
ROOT, NO_NODE = -1, -2


class Nodes(NamedTuple):
    """The nodes of a batch's trees, numbered row by row.

    places: the position of each in the flattened inputs (B · L).
    parent: the number of each one's parent; −1 for a root.
    rank: which child of its parent each one is, from 0; without meaning for roots.
    """

    places: Int[Tensor, " N"]
    parent: Int[Tensor, " N"]
    rank: Int[Tensor, " N"]


class Level(NamedTuple):
    """The nodes of one depth, in all trees of a batch.

        [ MAX 2 [ MIN 7 4 ] 0 ]

        depth   nodes      inner   owners   ranks
        0       MAX        0       0 0 0    0 1 2     the next level: 2, MIN and 0 are children of MAX
        1       2 MIN 0    1       0 0      0 1       7 and 4 are children of MIN
        2       7 4

    Levels are by depth and not by height: the children of a level's nodes are then exactly the next level. A
    pass from the last level to the first hands each state up once, and the backward pass does the reverse.

    places: the positions of the n nodes in the flattened inputs, in this order.
    inner: the k of the n nodes that have children.
    owners: for each of the m nodes of the next level, which of the k is its parent.
    ranks: for each of these m, which child it is.
    """

    places: Int[Tensor, " n"]
    inner: Int[Tensor, " k"]
    owners: Int[Tensor, " m"]
    ranks: Int[Tensor, " m"]


def read(parents: Int[Tensor, "B L"]) -> Nodes:
    """Return the nodes of a batch's trees.

    Args:
        parents: the position of each token's parent, −1 at the root, −2 for a token that is not a node.

    Raises:
        ValueError: a row has no root or several, or a parent that is not a node or does not precede its
            children (as in a cycle).
    """
    check(parents)
    steps = parents.shape[1]
    there = (parents > NO_NODE).flatten()
    places = there.nonzero()[:, 0]
    number = there.cumsum(0) - 1
    in_row = parents.flatten()[places]
    above = number[(in_row + places // steps * steps).clamp_min(0)]
    parent = torch.where(in_row == ROOT, ROOT, above)
    together, first = _siblings(parent)
    rank = torch.empty_like(parent)
    rank[together] = torch.arange(len(parent), device=parents.device) - first
    return Nodes(places, parent, rank)


def check(parents: Int[Tensor, "B L"]) -> None:
    """Raise a ValueError if `parents` do not describe one tree in each row."""
    roots = (parents == ROOT).sum(1)
    if (roots != 1).any():
        row = int((roots != 1).nonzero()[0])
        raise ValueError(f"Row {row} of parents has {int(roots[row])} roots (−1); a tree has one.")
    steps = torch.arange(parents.shape[1], device=parents.device)
    is_node = (parents > NO_NODE).gather(1, parents.clamp(0, parents.shape[1] - 1))
    wrong = (parents < NO_NODE) | (parents >= steps) | ((parents >= 0) & ~is_node)
    if wrong.any():
        row, step = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"Row {row} of parents has {int(parents[row, step])} at token {step}; a parent is a node that "
            "precedes its children."
        )


def binary(nodes: Nodes) -> Nodes:
    """Return equivalent binary trees, whose leaves are the tokens in their order.

    A node takes its children, with their subtrees, one by one: x with the children y and z is ((x y) z).

              x                      ○
            ╱   ╲                  ╱   ╲
           y     z       is       ○     ○
                 │               ╱ ╲   ╱ ╲
                 w              x   y z   w

    Binary trees over N leaves and trees of N nodes correspond one to one. A binary tree has N − 1 inner
    nodes, one for each child taken. They are numbered after the leaves and have the position of the node
    that takes the child.
    """
    count = len(nodes.parent)
    child = (nodes.parent >= 0).nonzero()[:, 0]
    # The number of the inner node that takes a node, with its subtree, as its right child; no node takes a
    # root.
    taken = torch.full_like(nodes.parent, ROOT)
    taken[child] = torch.arange(count, count + len(child), device=child.device)
    together, _ = _siblings(nodes.parent)
    before = torch.empty_like(together)
    before[together] = together.roll(1)
    left = torch.where(nodes.rank == 0, nodes.parent, taken[before])[child]
    # An inner node that is nobody's left child is the last of its node, and represents it.
    belongs = torch.cat([torch.arange(count, device=child.device), nodes.parent[child]])
    parent, rank = taken[belongs], torch.ones_like(belongs)
    parent[left], rank[left] = taken[child], 0
    return Nodes(nodes.places[belongs], parent, rank)


def by_depth(nodes: Nodes) -> list[Level]:
    """Return the levels of trees, that of the roots first; within a level nodes are ordered by row."""
    count = len(nodes.parent)
    # Each node skips 1, 2, 4, … generations at a time; `count` stands for nothing, which is above a root.
    above = torch.cat([nodes.parent, nodes.parent[:1]])
    above[above == ROOT] = count
    above[count] = count
    passed = torch.ones_like(above)
    passed[count] = 0
    while (above < count).any():
        passed = passed + passed[above]
        above = above[above]
    depth = passed[:count] - 1
    order = (depth * (nodes.places.max() + 1) + nodes.places).argsort()
    sizes = depth.bincount()
    starts = (sizes.cumsum(0) - sizes)[depth[order]]
    row = torch.empty_like(order)
    row[order] = torch.arange(count, device=order.device) - starts
    members = torch.split(order, sizes.tolist())
    levels = []
    for mine, below in zip(members, [*members[1:], order[:0]], strict=True):
        inner, owners = torch.unique(row[nodes.parent[below]], return_inverse=True)
        levels.append(Level(nodes.places[mine], inner, owners, nodes.rank[below]))
    return levels


def look_up(
    table: Float[Tensor, "V G"], inputs: Int[Tensor, "B L"], levels: list[Level]
) -> list[Float[Tensor, "_ G"]]:
    """Return, for each level, the rows of a table for its nodes' tokens.

    All are looked up at once, so that the table has one gradient and not one for each level.
    """
    tokens = inputs.flatten()[torch.cat([level.places for level in levels])]
    sizes = [len(level.places) for level in levels]
    return list(torch.split(nn.functional.embedding(tokens, table), sizes))


def gather_children(states: Float[Tensor, "m H"], level: Level, children: int) -> Float[Tensor, "k C"]:
    """Return, for each inner node of a level, the concatenated states of its children (C = children · H).

    The state of a missing child is zero.
    """
    k, width = len(level.inner), states.shape[1]
    there = level.owners * children + level.ranks
    return states.new_zeros(k * children, width).index_copy(0, there, states).view(k, children * width)


def _siblings(parent: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nodes ordered so that siblings are together, and where the siblings of each begin."""
    together = parent.argsort(stable=True)
    ordered = parent[together]
    return together, torch.searchsorted(ordered, ordered)
