"""The minimal GRU is its formula."""

from __future__ import annotations

import numpy as np
import torch

from seqbench.models import unfold
from seqbench.models.cells.min_gru import MinGRU


def test_it_is_the_formula_of_the_paper() -> None:
    cell = MinGRU(3, 4, update_bias=-1.0).double()
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    U, b = (parameter.detach().numpy() for parameter in (cell.U, cell.b))
    assert b[:4].tolist() == [-1.0] * 4
    h, expected = np.zeros(4), []
    for x_t in x[0].numpy():
        z = 1 / (1 + np.exp(-(U[:4] @ x_t + b[:4])))
        h = (1 - z) * h + z * (U[4:] @ x_t + b[4:])
        expected.append(h)
    for engine in ("scan", "loop"):
        outputs, (last,) = unfold(cell, x, engine=engine)
        np.testing.assert_allclose(outputs[0].detach(), expected, rtol=1e-12)
        np.testing.assert_allclose(last[0].detach(), expected[-1], rtol=1e-12)
