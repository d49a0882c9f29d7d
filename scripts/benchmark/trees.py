"""A depth of all trees at once against node by node."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import seqbench
from seqbench.models.trees.recursive_net import RecursiveNet
from seqbench.models.trees.tree_lstm import TreeLSTM
from seqbench.tasks.batch import Batch

from .measure import Settings, steps_in_turn
from .tables import Row

KINDS = [("tree_lstm", f"model.kind={kind}") for kind in ("binary", "child_sum", "n_ary")]


def trees(settings: Settings) -> list[Row]:
    """A step forward and backward over 64 trees of `listops`: a depth of all trees at once, and node by node.

    64 units. `by node` has the same weights and gives the same outputs; that trees are there as lists of
    children costs it nothing, where `at once` finds its levels anew in each pass.
    """
    rows: list[Row] = []
    for name, *options in [("recursive_net",), *KINDS]:
        cfg = seqbench.compose(["task=listops", f"model={name}", *options])
        task = seqbench.build_task(cfg)
        model: Any = seqbench.build_model(cfg, task).to(settings.device)
        batch = next(task.train_batches(0, 2 if settings.quick else 64))
        batch = batch.map(lambda part: part.to(settings.device))
        lists = children_of(batch)

        def at_once(model: Any = model, batch: Batch = batch) -> Tensor:
            outputs: Tensor = model(batch.inputs, batch.lengths, parents=batch.extras["parents"])[0]
            return outputs

        def by_node(model: Any = model, batch: Batch = batch, lists: Any = lists) -> Tensor:
            return node_by_node(model, batch, lists)

        torch.testing.assert_close(at_once(), by_node())
        steps = {
            f"{way.__name__.replace('_', ' ')}, ms": lambda way=way, batch=batch, task=task: (
                task.targets.loss(way(), batch).backward()
            )
            for way in (at_once, by_node)
        }
        ms = steps_in_turn(steps, settings)
        ratio = ms["by node, ms"] / ms["at once, ms"]
        nodes = sum(map(len, lists))
        rows.append({"model": " ".join([name, *options]), "nodes": nodes, **ms, "by node to at once": ratio})
    return rows


def node_by_node(model: Any, batch: Batch, lists: list[dict[int, list[int]]]) -> Tensor:
    """Return the outputs of a model of trees, as one would write it."""
    one = recursive_node if isinstance(model, RecursiveNet) else lstm_node
    table = model.V.t() if isinstance(model, RecursiveNet) else model.W.t() + model.b
    looked_up = nn.functional.embedding(batch.inputs, table).flatten(0, 1).unbind(0)
    length, roots = batch.inputs.shape[1], []
    for row, children in enumerate(lists):
        x = looked_up[row * length : (row + 1) * length]
        states: dict[int, tuple[Tensor, ...]] = {}
        for node in sorted(children, reverse=True):
            states[node] = one(model, x[node], [states[child] for child in children[node]])
        roots.append(states[min(children)][0])
    outputs: Tensor = model.readout(torch.stack(roots))
    return outputs


def children_of(batch: Batch) -> list[dict[int, list[int]]]:
    """Return, for each tree, the places of every node's children."""
    lists = []
    for parents in batch.extras["parents"].tolist():
        children: dict[int, list[int]] = {place: [] for place, parent in enumerate(parents) if parent > -2}
        for place, parent in enumerate(parents):
            if parent >= 0:
                children[parent].append(place)
        lists.append(children)
    return lists


def recursive_node(model: RecursiveNet, x: Tensor, below: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Return the state of a node of a recursive network, as one would write it."""
    h = x
    for (right,) in below:
        h = torch.tanh(nn.functional.linear(h, model.U, model.b) + nn.functional.linear(right, model.W))
    return (h,)


def lstm_node(model: TreeLSTM, x: Tensor, below: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Return h and c of a node of an LSTM over trees, as one would write it."""
    if model.kind == "binary" and below:
        state = lstm_step(model, x, [])
        for child in below:
            state = lstm_step(model, x, [state, child])
        return state
    return lstm_step(model, x, below)


def lstm_step(model: TreeLSTM, x: Tensor, below: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Return h and c of one step of an LSTM over trees."""
    split = 3 * model.hidden_size
    gates, f = x[:split], x[split:]
    kept: Tensor | float = 0.0
    if below:
        h, c = (torch.stack(part) for part in zip(*below, strict=True))
        if model.kind == "child_sum":
            gates = gates + nn.functional.linear(h.sum(0), model.U[:split])
            f = f + nn.functional.linear(h, model.U[split:])
        else:
            used = h.numel()
            sums = nn.functional.linear(h.flatten(), model.U[: split + used, :used])
            gates, f = gates + sums[:split], f + sums[split:].view_as(h)
        kept = (torch.sigmoid(f) * c).sum(0)
    i, o, u = gates.chunk(3)
    c = torch.sigmoid(i) * torch.tanh(u) + kept
    return torch.sigmoid(o) * torch.tanh(c), c
