"""The minimal gated unit."""

from __future__ import annotations

import numpy as np

from seqbench.models.cells.mgu import MGU
from tests.models.cells.formulas import blocks, check_step, sigmoid


def test_step_is_its_formula():
    def formula(w, x, h):
        (b_f, U_f, W_f), (b, U, W) = blocks(w, 2)
        f = sigmoid(b_f + U_f @ x + W_f @ h)
        return [(1 - f) * h + f * np.tanh(b + U @ x + W @ (f * h))]

    check_step(MGU(3, 4), formula)


def test_gate_bias_is_the_gates():
    assert MGU(2, 3, gate_bias=-2.0).b.tolist() == [-2.0] * 3 + [0.0] * 3
