"""The gated recurrent unit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqbench.models import unfold
from seqbench.models.cells import GRU


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("engine", ["loop", "native"])
def test_equals_torch(assert_parity, engine, dtype):
    cell = GRU(4, 5)

    def copied():
        return cell.U, cell.W, cell.b, torch.cat([torch.zeros(10, dtype=dtype), cell.d])

    assert_parity(cell, nn.GRU(4, 5, batch_first=True), copied, engine, dtype)


def test_step_is_30_to_33_with_the_reset_after_the_product():
    cell = GRU(3, 4).double()
    for bias in (cell.b, cell.d):
        nn.init.normal_(bias)
    rng = np.random.default_rng(0)
    x, before = rng.normal(size=3), rng.normal(size=4)
    d = cell.d.detach().numpy()
    blocks = zip(*(np.split(p.detach().numpy(), 3) for p in (cell.b, cell.U, cell.W)), strict=True)
    (b_r, U_r, W_r), (b_u, U_u, W_u), (b, U, W) = blocks

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    r = sigmoid(b_r + U_r @ x + W_r @ before)  # [33]
    u = sigmoid(b_u + U_u @ x + W_u @ before)  # [32]
    after = u * before + (1 - u) * np.tanh(b + U @ x + r * (W @ before + d))  # [30], [31]

    output, (h,) = cell.step(cell.project(torch.from_numpy(x)[None]), (torch.from_numpy(before)[None],))
    np.testing.assert_allclose(h[0].detach(), after, rtol=0, atol=1e-14)
    assert torch.equal(output, h)


@pytest.mark.parametrize("engine", ["loop", "native"])
@pytest.mark.parametrize("update_bias", [0.0, 3.0])
def test_update_bias_keeps_the_state(update_bias, engine):
    cell = GRU(2, 3, update_bias=update_bias)
    nn.init.zeros_(cell.W)
    _, (h,) = unfold(cell, torch.zeros(1, 1, 2), (torch.ones(1, 3),), engine=engine)
    # With neither input nor recurrence the candidate is 0: what is left of h = 1 is the update gate.
    torch.testing.assert_close(h, torch.full((1, 3), torch.tensor(update_bias).sigmoid().item()))
