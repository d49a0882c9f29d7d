"""The recurrent network of Fig. 10.3, and the IRNN."""

from __future__ import annotations

import numpy as np
import torch

from seqbench.models.cells.rnn import RNN
from tests.models.cells.formulas import check_step


def test_step_is_5_and_6():
    def formula(w, x, h):
        a = w["b"] + w["W"] @ h + w["U"] @ x  # [5]
        return [np.tanh(a)]  # [6]

    check_step(RNN(3, 4), formula)


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
