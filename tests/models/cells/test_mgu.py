"""The minimal gated unit."""

from __future__ import annotations

import numpy as np

from seqbench.models.cells import MGU
from tests.models.cells.formulas import close, sigmoid, step, stirred


def test_step_is_its_formula():
    cell = MGU(3, 4)
    w = {name: np.split(value, 2) for name, value in stirred(cell).items()}
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=3), rng.normal(size=4)
    f = sigmoid(w["b"][0] + w["U"][0] @ x + w["W"][0] @ h)
    after = (1 - f) * h + f * np.tanh(w["b"][1] + w["U"][1] @ x + w["W"][1] @ (f * h))
    found, (state,) = step(cell, x, h)
    close(found, after)
    close(state, after)


def test_gate_bias_is_the_gates():
    assert MGU(2, 3, gate_bias=-2.0).b.tolist() == [-2.0] * 3 + [0.0] * 3
