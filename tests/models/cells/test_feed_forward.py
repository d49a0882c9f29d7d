"""The step without memory."""

from __future__ import annotations

import numpy as np
import torch

from seqbench.models.cells.feed_forward import FeedForward
from tests.models.cells.formulas import close, randomised


def test_a_step_is_the_formula():
    cell = FeedForward(2, 4)
    w = randomised(cell)
    x = np.random.default_rng(0).normal(size=2)
    output, state = cell.step(cell.project(torch.from_numpy(x)[None]), ())
    close(output[0], np.tanh(w["b"] + w["U"] @ x))
    assert state == () and cell.state_size == 0


def test_the_scan_is_the_steps_and_past_the_end_is_zero():
    cell = FeedForward(2, 4).double()
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    valid = torch.arange(5)[:, None, None] < torch.tensor([5, 2, 1])[:, None]
    outputs, state = cell.scan(cell.project(x), (), valid)
    each = torch.stack([cell.step(cell.project(part), ())[0] for part in x])
    torch.testing.assert_close(outputs, each * valid)
    assert state == ()
