"""The recurrent network of Fig. 10.3, and the IRNN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqbench.models.cells import RNN


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("engine", ["loop", "native"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_equals_torch(assert_parity, activation, engine, dtype):
    cell = RNN(4, 5, activation=activation)
    theirs = nn.RNN(4, 5, nonlinearity=activation, batch_first=True)
    assert_parity(cell, theirs, lambda: (cell.U, cell.W, cell.b, torch.zeros_like(cell.b)), engine, dtype)


def test_step_is_5_and_6():
    cell = RNN(3, 4).double()
    nn.init.normal_(cell.b)
    x, before = np.random.default_rng(0).normal(size=(2, 3)), np.random.default_rng(1).normal(size=(2, 4))
    U, W, b = (p.detach().numpy() for p in (cell.U, cell.W, cell.b))
    output, (h,) = cell.step(cell.project(torch.from_numpy(x)), (torch.from_numpy(before),))
    for row in range(2):
        a = b + W @ before[row] + U @ x[row]  # [5]
        np.testing.assert_allclose(h[row].detach(), np.tanh(a), rtol=0, atol=1e-14)  # [6]
    assert torch.equal(output, h)


def test_starts_from_zero_with_weights_inside_one_over_root_h():
    cell = RNN(30, 25)
    assert not cell.initial_state(2)[0].any() and not cell.b.any()
    for weight in (cell.U, cell.W):
        assert 0.19 < weight.abs().max() <= 0.2


def test_irnn_is_relu_from_the_identity(make_model):
    model, _ = make_model("model=irnn", "task=adding", "model.hidden_size=6", fresh=True)
    cell = model.layers[0]
    assert torch.equal(cell.W, torch.eye(6)) and not cell.b.any()
    # With no input a positive state neither grows nor fades; a negative one is cut.
    h = torch.rand(2, 6)
    assert torch.equal(cell.step(torch.zeros(2, 6), (h,))[0], h)
    assert not cell.step(torch.zeros(2, 6), (-h,))[0].any()
