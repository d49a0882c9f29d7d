"""MUT1."""

from __future__ import annotations

import numpy as np

from seqbench.models.cells import MUT1
from tests.models.cells.formulas import close, sigmoid, step, stirred


def test_step_is_its_formula():
    cell = MUT1(3, 4)
    weights = stirred(cell)
    (U_z, U_r, U), (b_z, b_r, b) = np.split(weights["U"], 3), np.split(weights["b"], 3)
    W_r, W = np.split(weights["W"], 2)
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=3), rng.normal(size=4)
    z = sigmoid(b_z + U_z @ x)
    r = sigmoid(b_r + U_r @ x + W_r @ h)
    after = (1 - z) * h + z * np.tanh(b + np.tanh(U @ x) + W @ (r * h))
    found, (state,) = step(cell, x, h)
    close(found, after)
    close(state, after)
