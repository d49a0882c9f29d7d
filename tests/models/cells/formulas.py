"""What tests of cells share: numpy's sigmoid, random parameters, and one step compared with its formula."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


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
