"""What tests of cells share: a step compared with its formula, and a sequence with another implementation."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from seqbench.models import unfold


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def randomised(cell):
    """Draw every parameter of the cell, in float64, from N(0, 1); return them as arrays, by name."""
    for parameter in cell.double().parameters():
        nn.init.normal_(parameter)
    return {name: p.detach().numpy() for name, p in cell.named_parameters()}


def blocks(weights, n):
    """The n blocks of b, U and W, as triples (b, U, W)."""
    return zip(*(np.split(weights[name], n) for name in "bUW"), strict=True)


def check_step(cell, formula):
    """Compare one step with `formula(weights, x, *state)`: the next state, whose first part is the output."""
    weights = randomised(cell)
    rng = np.random.default_rng(0)
    x = rng.normal(size=cell.input_size)
    state = [rng.normal(size=part.shape[1:]) for part in cell.initial_state(1)]
    given = tuple(torch.from_numpy(part)[None] for part in state)
    output, new = cell.step(cell.project(torch.from_numpy(x)[None]), given)
    for found, expected in zip(new, formula(weights, x, *state), strict=True):
        close(found[0], expected)
    assert torch.equal(output, new[0])


def close(found, expected):
    np.testing.assert_allclose(found.detach(), expected, rtol=0, atol=1e-14)


def check_against(cell, other, engines=("auto", "loop")):
    """Compare whole sequences with another implementation, in float64: outputs, and all gradients to 1e-10.

    Args:
        cell: whose parameters are drawn anew.
        other: `other(weights, x)` returns the outputs (B, T, H) for the cell's parameters by name and inputs
            (B, T, F), all of which have gradients.
        engines: that are compared.
    """
    for parameter in cell.double().parameters():
        nn.init.normal_(parameter, std=0.5)
    weights = dict(cell.named_parameters())
    x = torch.randn(3, 9, cell.input_size, dtype=torch.float64, requires_grad=True)
    towards = torch.randn(3, 9, cell.output_size, dtype=torch.float64)

    def passes(outputs):
        return outputs, *torch.autograd.grad((outputs * towards).sum(), [x, *weights.values()])

    expected = passes(other(weights, x))
    for engine in engines:
        found = passes(unfold(cell, x, engine=engine)[0])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def stepped(step, x, *state):
    """Return what `step(x_t, *state)` makes of a sequence (B, T, F): the first part of each state."""
    outputs = []
    for x_t in x.unbind(1):
        state = step(x_t, *state)
        outputs.append(state[0])
    return torch.stack(outputs, dim=1)


def zeros(x, *sizes):
    """Return states of zeros, (B, size) each."""
    return [x.new_zeros(len(x), size) for size in sizes]
