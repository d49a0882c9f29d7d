"""Deep transitions, Fig. 10.13 (b) and (c)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.deep_transition import DeepTransitionRNN
from seqbench.models.cells.rnn import RNN
from tests.models.cells.formulas import check_step


@pytest.mark.parametrize("skip", [False, True])
def test_a_step_is_the_formula(skip):
    def formula(w, x, h):
        b, W = w["b"].reshape(3, 4), w["W"].reshape(3, 4, 4)
        z = np.tanh(b[0] + W[0] @ h + w["U"] @ x)
        z = np.tanh(b[1] + W[1] @ z)
        return [np.tanh(b[2] + W[2] @ z + (w["S"] @ h if skip else 0))]

    check_step(DeepTransitionRNN(2, 4, depth=3, skip=skip), formula)


def shortest_path(start: torch.Tensor, end: torch.Tensor) -> int:
    """Count the tanh on the shortest path through the unfolded graph from `start` to `end`."""
    (leaf,) = {id(fn) for fn in [torch.autograd.graph.get_gradient_edge(start).node]}
    reached = {end.grad_fn: int("Tanh" in end.grad_fn.name())}
    frontier, found = [end.grad_fn], []
    while frontier:
        node = frontier.pop()
        if id(node) == leaf:
            found.append(reached[node])
            continue
        for before, _ in node.next_functions:
            if before is None:
                continue
            steps = reached[node] + ("Tanh" in before.name())
            if steps < reached.get(before, 10**9):
                reached[before] = steps
                frontier.append(before)
    return min(found)


@pytest.mark.parametrize(
    ("cell", "per_step"),
    [
        (RNN(2, 4), 1),
        (DeepTransitionRNN(2, 4, depth=1), 1),
        (DeepTransitionRNN(2, 4, depth=3), 3),
        (DeepTransitionRNN(2, 4, depth=3, skip=True), 1),
    ],
    ids=["rnn", "depth 1", "depth 3", "skip"],
)
def test_depth_lengthens_the_shortest_path_and_skip_connections_restore_it(cell, per_step):
    start = torch.zeros(1, 4, requires_grad=True)
    outputs, _ = unfold(cell, torch.randn(1, 6, 2), (start,), engine="loop")
    assert shortest_path(start, outputs) == 1 * per_step  # to the first output
    _, (last,) = unfold(cell, torch.randn(1, 6, 2), (start,), engine="loop")
    assert shortest_path(start, last) == 6 * per_step


def test_what_makes_no_sense_is_refused(make_model):
    with pytest.raises(ConfigError, match="depth=0 leaves no layer"):
        make_model("model=deep_transition_rnn", "model.cell.depth=0", "task=latch")
    with pytest.raises(ConfigError, match="skip=true has no layer to skip"):
        make_model("model=deep_transition_rnn", "model.cell.depth=1", "model.cell.skip=true", "task=latch")
