"""The trees of a batch, put in the order in which a recursive network works through them.

What comes out has shapes that depend on the trees, so that models of trees are not for `torch.func.vmap`:
several seeds take their steps in turn.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

#: What `parents` has for a root, and for a token that is no node.
ROOT, NO_NODE = -1, -2


class Nodes(NamedTuple):
    """The nodes of a batch's trees, numbered row by row.

    places: where each stands in the flattened inputs (B · L).
    parent: the number of each one's parent; −1 a root's.
    rank: which child of its parent each one is, from 0; of roots it says nothing.
    """

    places: Int[Tensor, " N"]
    parent: Int[Tensor, " N"]
    rank: Int[Tensor, " N"]


class Level(NamedTuple):
    """The nodes of one depth, those of all trees of a batch.

        [ MAX 2 [ MIN 7 4 ] 0 ]

        depth   nodes      inner   owners   ranks
        0       MAX        0       0 0 0    0 1 2     the next level: 2, MIN and 0 are children of MAX
        1       2 MIN 0    1       0 0      0 1       7 and 4 are children of MIN
        2       7 4

    Depth, and not height, makes a level: its nodes' children are then the next level, all of it, so that a
    pass from the last level to the first hands states from each to the one above, once, and back likewise.

    places: where each of the n nodes stands in the flattened inputs, in this order.
    inner: which of the n have children, k of them.
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
        parents: the place of each token's parent, see `seqbench.tasks.base.Batch`.

    Raises:
        ValueError: a row has no root or several, or a parent that is no node or not before its children (as
            it is where parents go in a circle).
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
    """Raise a ValueError where `parents` are not those of one tree in each row."""
    roots = (parents == ROOT).sum(1)
    if (roots != 1).any():
        row = int((roots != 1).nonzero()[0])
        raise ValueError(f"Row {row} of parents has {int(roots[row])} roots (−1); a tree has one.")
    steps = torch.arange(parents.shape[1], device=parents.device)
    is_node = (parents > NO_NODE).gather(1, parents.clamp(0, parents.shape[1] - 1))
    amiss = (parents < NO_NODE) | (parents >= steps) | ((parents >= 0) & ~is_node)
    if amiss.any():
        row, step = amiss.nonzero()[0].tolist()
        raise ValueError(
            f"Row {row} of parents has {int(parents[row, step])} at token {step}; a parent is a node that "
            "stands before its children."
        )


def binary(nodes: Nodes) -> Nodes:
    """Return the binary trees that say the same: their leaves are the tokens, in the order that they had.

    A node takes its children one by one, the whole of each: x with the children y and z is ((x y) z).

              x                      ○
            ╱   ╲                  ╱   ╲
           y     z       is       ○     ○
                 │               ╱ ╲   ╱ ╲
                 w              x   y z   w

    Every binary tree over N leaves is that of one tree of N nodes. It has N − 1 inner nodes, one for each
    child taken; they are numbered after the leaves, and stand at the place of the node that takes.
    """
    count = len(nodes.parent)
    child = (nodes.parent >= 0).nonzero()[:, 0]
    # The number of the inner node that takes a node, with all its children, as its right one; none a root.
    taken = torch.full_like(nodes.parent, ROOT)
    taken[child] = torch.arange(count, count + len(child), device=child.device)
    together, _ = _siblings(nodes.parent)
    before = torch.empty_like(together)
    before[together] = together.roll(1)
    left = torch.where(nodes.rank == 0, nodes.parent, taken[before])[child]
    # What is nobody's left is the last of what it belongs to, and stands for it.
    belongs = torch.cat([torch.arange(count, device=child.device), nodes.parent[child]])
    parent, rank = taken[belongs], torch.ones_like(belongs)
    parent[left], rank[left] = taken[child], 0
    return Nodes(nodes.places[belongs], parent, rank)


def by_depth(nodes: Nodes) -> list[Level]:
    """Return the levels of trees, the roots' first, in which they stand row by row."""
    count = len(nodes.parent)
    # Each node looks up over 1, 2, 4, … generations; above a root is nothing, and nothing above that.
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
    """Return, for each level, the rows of a table that its nodes' tokens name.

    All are looked up at once, so that the table's gradient is one and not one for each level.
    """
    tokens = inputs.flatten()[torch.cat([level.places for level in levels])]
    sizes = [len(level.places) for level in levels]
    return list(torch.split(nn.functional.embedding(tokens, table), sizes))


def abreast(states: Float[Tensor, "m H"], level: Level, children: int) -> Float[Tensor, "k C"]:
    """Return, for each inner node of a level, its children's states one beside the other (C = children · H).

    Those of children that are not there are zero.
    """
    k, width = len(level.inner), states.shape[1]
    there = level.owners * children + level.ranks
    return states.new_zeros(k * children, width).index_copy(0, there, states).view(k, children * width)


def _siblings(parent: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nodes in an order that has siblings together, and where in it those of each begin."""
    together = parent.argsort(stable=True)
    ordered = parent[together]
    return together, torch.searchsorted(ordered, ordered)
