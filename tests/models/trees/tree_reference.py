"""Trees built by hand, what a batch holds of them, and networks that go through them node by node."""

from __future__ import annotations

import random

import torch
from torch import Tensor

#: A token and its children, each again such a pair.
Tree = tuple[int, list]
OPEN, CLOSE, PADDING = 1, 2, 0
#: Tokens of the trees below: 3 to 9; with brackets and padding there are ten.
TOKENS = 10


def random_tree(stream: random.Random, size: int, children: int = 3) -> Tree:
    """Draw a tree of `size` nodes with at most `children` each: every node hangs under an earlier one."""
    nodes: list[Tree] = [(stream.randint(3, TOKENS - 1), [])]
    while len(nodes) < size:
        node: Tree = (stream.randint(3, TOKENS - 1), [])
        stream.choice([each for each in nodes if len(each[1]) < children])[1].append(node)
        nodes.append(node)
    return nodes[0]


def chain(tokens: list[int]) -> Tree:
    """Return the tree in which every node has one child."""
    tree: Tree = (tokens[-1], [])
    for token in reversed(tokens[:-1]):
        tree = (token, [tree])
    return tree


def forest(seed: int = 0, children: int = 3) -> list[Tree]:
    """Return trees of many shapes: one node, a chain, a node with leaves, and random ones."""
    stream = random.Random(seed)
    trees = [random_tree(stream, size, children) for size in (7, 20, 2, 12)]
    return [*trees, (4, []), chain([3, 4, 5, 6, 7, 8, 9] * 3), (5, [(6, [])] * children)]


def flat(tree: Tree) -> tuple[list[int], list[int]]:
    """Return tokens with brackets around every node that has children, and the places of the parents."""
    tokens: list[int] = []
    parents: list[int] = []

    def write(node: Tree, parent: int) -> None:
        if node[1]:
            tokens.append(OPEN)
            parents.append(-2)
        place = len(tokens)
        tokens.append(node[0])
        parents.append(parent)
        for child in node[1]:
            write(child, place)
        if node[1]:
            tokens.append(CLOSE)
            parents.append(-2)

    write(tree, -1)
    return tokens, parents


def batch_of(trees: list[Tree], steps: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs (B, L), lengths and parents (B, L), padded to the longest row or to `steps`."""
    rows = [flat(tree) for tree in trees]
    steps = steps or max(len(tokens) for tokens, _ in rows)
    inputs = torch.full((len(rows), steps), PADDING)
    parents = torch.full((len(rows), steps), -2)
    for i, (tokens, above) in enumerate(rows):
        inputs[i, : len(tokens)] = torch.tensor(tokens)
        parents[i, : len(above)] = torch.tensor(above)
    return inputs, torch.tensor([len(tokens) for tokens, _ in rows]), parents


def recursive_by_hand(model, tree: Tree) -> Tensor:
    """The root's h: a token's column of V takes the children one by one."""
    token, children = tree
    h = model.V[:, token]
    for child in children:
        h = torch.tanh(model.b + model.U @ h + model.W @ recursive_by_hand(model, child))
    return h


def lstm_by_hand(model, tree: Tree) -> tuple[Tensor, Tensor]:
    """The root's h and c; where nodes take their children one by one, by as many steps."""
    token, children = tree
    below = [lstm_by_hand(model, child) for child in children]
    if model.kind != "binary":
        return lstm_step(model, token, below)
    state = lstm_step(model, token, [])
    for child in below:
        state = lstm_step(model, token, [state, child])
    return state


def lstm_step(model, token: int, below: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A node's h and c by equations (2) to (8), or (9) to (14), one gate and one child at a time."""
    size = model.hidden_size
    w = dict(zip("iouf", model.W[:, token].split(size), strict=True))
    b = dict(zip("iouf", model.b.split(size), strict=True))
    if model.kind == "child_sum":
        u = dict(zip("iouf", model.U.split(size), strict=True))
        total = sum((h for h, _ in below), torch.zeros(size, dtype=model.U.dtype))
        a = {name: w[name] + u[name] @ total + b[name] for name in "iou"}
        kept = [torch.sigmoid(w["f"] + u["f"] @ h + b["f"]) for h, _ in below]
    else:
        # A row of blocks for each of i, o, u, f_1, …, and in it one for each child.
        blocks = [rows.split(size, dim=1) for rows in model.U.split(size)]

        def of_children(row: int) -> Tensor:
            return sum((blocks[row][place] @ h for place, (h, _) in enumerate(below)), 0 * model.b[:size])

        a = {name: w[name] + of_children(row) + b[name] for row, name in enumerate("iou")}
        kept = [torch.sigmoid(w["f"] + of_children(3 + k) + b["f"]) for k in range(len(below))]
    c = torch.sigmoid(a["i"]) * torch.tanh(a["u"])
    for f, (_, below_c) in zip(kept, below, strict=True):
        c = c + f * below_c
    return torch.sigmoid(a["o"]) * torch.tanh(c), c
