"""What tests of cells share: numpy's gates, and one step of a cell on one row."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def stirred(cell):
    """The cell in float64, with no parameter at zero; its parameters as arrays, by name."""
    for parameter in cell.double().parameters():
        nn.init.normal_(parameter)
    return {name: p.detach().numpy() for name, p in cell.named_parameters()}


def step(cell, x, *state):
    """Return the output and the state of one step, as arrays."""
    given = tuple(torch.from_numpy(np.asarray(part))[None] for part in state)
    output, new = cell.step(cell.project(torch.from_numpy(x)[None]), given)
    return output[0].detach().numpy(), [part[0].detach().numpy() for part in new]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
