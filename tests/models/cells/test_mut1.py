"""MUT1."""

from __future__ import annotations

import numpy as np

from seqbench.models.cells.mut1 import MUT1
from tests.models.cells.formulas import check_step, sigmoid


def test_step_is_its_formula():
    def formula(w, x, h):
        (U_z, U_r, U), (b_z, b_r, b) = np.split(w["U"], 3), np.split(w["b"], 3)
        W_r, W = np.split(w["W"], 2)
        z = sigmoid(b_z + U_z @ x)
        r = sigmoid(b_r + U_r @ x + W_r @ h)
        return [(1 - z) * h + z * np.tanh(b + np.tanh(U @ x) + W @ (r * h))]

    check_step(MUT1(3, 4), formula)


def test_update_bias_is_the_update_gates():
    assert MUT1(2, 3, update_bias=-2.0).b.tolist() == [-2.0] * 3 + [0.0] * 6
