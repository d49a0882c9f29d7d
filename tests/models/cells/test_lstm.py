"""The long short-term memory of Fig. 10.16."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.models import unfold
from seqbench.models.cells.lstm import LSTM
from tests.models.cells.formulas import blocks, check_step, sigmoid


def test_step_is_25_to_29():
    def formula(w, x, h, s):
        a_g, a_f, a, a_q = (b + U @ x + W @ h for b, U, W in blocks(w, 4))
        s = sigmoid(a_f) * s + sigmoid(a_g) * np.tanh(a)  # [25]-[27], candidate as the slides have it
        return np.tanh(s) * sigmoid(a_q), s  # [28], [29]

    check_step(LSTM(3, 4), formula)


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
