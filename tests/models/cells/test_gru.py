"""The gated recurrent unit, in its three forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqbench.models import unfold
from seqbench.models.cells.gru import GRU
from tests.models.cells.formulas import blocks, check_step, close, randomised, sigmoid


def test_step_is_30_to_33_with_the_reset_after_the_product():
    def formula(w, x, h):
        (b_r, U_r, W_r), (b_u, U_u, W_u), (b, U, W) = blocks(w, 3)
        r = sigmoid(b_r + U_r @ x + W_r @ h)  # [33]
        u = sigmoid(b_u + U_u @ x + W_u @ h)  # [32]
        return [u * h + (1 - u) * np.tanh(b + U @ x + r * (W @ h + w["d"]))]  # [30], [31]

    check_step(GRU(3, 4), formula)


def test_before_resets_the_state_before_the_product():
    def formula(w, x, h):
        (b_r, U_r, W_r), (b_u, U_u, W_u), (b, U, W) = blocks(w, 3)
        r = sigmoid(b_r + U_r @ x + W_r @ h)
        u = sigmoid(b_u + U_u @ x + W_u @ h)
        return [u * h + (1 - u) * np.tanh(b + U @ x + W @ (r * h))]

    check_step(GRU(3, 4, form="before"), formula)


def test_as_printed_is_30_to_33_to_the_letter():
    cell = GRU(3, 4, form="as_printed")
    (b_r, U_r, W_r), (b_u, U_u, W_u), (b, U, W) = blocks(randomised(cell), 3)
    xs = np.random.default_rng(0).normal(size=(5, 3))
    h, r, u = np.zeros(4), sigmoid(b_r), sigmoid(b_u)  # before the first step the gates have no input
    for t, x in enumerate(xs):
        before = h
        h = u * before + (1 - u) * sigmoid(b + U @ x + W @ (r * before))  # [30], [31]
        u = sigmoid(b_u + U_u @ x + W_u @ before)  # [32]
        r = sigmoid(b_r + U_r @ x + W_r @ before)  # [33]
        outputs, state = unfold(cell, torch.from_numpy(xs[None, : t + 1]))
        close(outputs[0, -1], h)
        for found, expected in zip(state, (h, r, u), strict=True):
            close(found[0], expected)


def test_other_forms_have_no_bias_d_and_no_kernel():
    assert GRU(3, 4).has_native and GRU(3, 4).d is not None
    for form in ("before", "as_printed"):
        cell = GRU(3, 4, form=form)
        assert not cell.has_native and cell.d is None


@pytest.mark.parametrize("engine", ["loop", "native"])
@pytest.mark.parametrize("update_bias", [0.0, 3.0])
def test_update_bias_keeps_the_state(update_bias, engine):
    cell = GRU(2, 3, update_bias=update_bias)
    nn.init.zeros_(cell.W)
    _, (h,) = unfold(cell, torch.zeros(1, 1, 2), (torch.ones(1, 3),), engine=engine)
    # With neither input nor recurrence the candidate is 0: what is left of h = 1 is the update gate.
    torch.testing.assert_close(h, torch.full((1, 3), torch.tensor(update_bias).sigmoid().item()))
