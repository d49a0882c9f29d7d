"""The long short-term memory of Fig. 10.16."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqbench.models import unfold
from seqbench.models.cells import LSTM


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("engine", ["loop", "native"])
def test_equals_torch(assert_parity, engine, dtype):
    cell = LSTM(4, 5)
    theirs = nn.LSTM(4, 5, batch_first=True)
    assert_parity(cell, theirs, lambda: (cell.U, cell.W, cell.b, torch.zeros_like(cell.b)), engine, dtype)


def test_step_is_25_to_29():
    cell = LSTM(3, 4).double()
    nn.init.normal_(cell.b)
    rng = np.random.default_rng(0)
    x, h_before, s_before = rng.normal(size=3), rng.normal(size=4), rng.normal(size=4)
    gates = zip(*(np.split(p.detach().numpy(), 4) for p in (cell.b, cell.U, cell.W)), strict=True)
    a_g, a_f, a, a_q = (b + U @ x + W @ h_before for b, U, W in gates)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    s_after = sigmoid(a_f) * s_before + sigmoid(a_g) * np.tanh(
        a
    )  # [25]-[27], candidate as the slides have it
    h_after = np.tanh(s_after) * sigmoid(a_q)  # [28], [29]

    state = tuple(torch.from_numpy(part)[None] for part in (h_before, s_before))
    output, (h, s) = cell.step(cell.project(torch.from_numpy(x)[None]), state)
    np.testing.assert_allclose(s[0].detach(), s_after, rtol=0, atol=1e-14)
    np.testing.assert_allclose(h[0].detach(), h_after, rtol=0, atol=1e-14)
    assert torch.equal(output, h)


@pytest.mark.parametrize("engine", ["loop", "native"])
@pytest.mark.parametrize("forget_bias", [1.0, 0.0, -2.5])
def test_forget_bias_is_the_effective_one(forget_bias, engine):
    cell = LSTM(2, 3, forget_bias=forget_bias)
    state = (torch.zeros(1, 3), torch.ones(1, 3))
    _, (_, s) = unfold(cell, torch.zeros(1, 1, 2), state, engine=engine)
    # With neither input nor output, the candidate is 0: what is left of s = 1 is the forget gate.
    torch.testing.assert_close(s, torch.full((1, 3), torch.tensor(forget_bias).sigmoid().item()))
    assert cell.b.sum().item() == 3 * forget_bias


def test_every_gate_has_a_matrix_of_its_own_to_start_from():
    for W in LSTM(2, 6, recurrent_init="orthogonal").W.split(6):
        torch.testing.assert_close(W @ W.T, torch.eye(6))
    for W in LSTM(2, 6, recurrent_init="identity").W.split(6):
        assert torch.equal(W, torch.eye(6))
