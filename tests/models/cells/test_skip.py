"""Skip connections through time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.skip import SkipRNN
from tests.models.cells.formulas import close, randomised


@pytest.mark.parametrize("single", [True, False])
def test_unfolding_is_the_recurrence(single):
    cell = SkipRNN(2, 4, delay=3, single=single)
    w = randomised(cell)
    xs = np.random.default_rng(0).normal(size=(9, 2))
    h = [np.zeros(4)] * 3
    for x in xs:
        recent = w["W"] @ h[-1] if single else 0
        h.append(np.tanh(w["b"] + recent + w["D"] @ h[-3] + w["U"] @ x))
    outputs, state = unfold(cell, torch.from_numpy(xs[None]))
    close(outputs[0], np.stack(h[3:]))
    close(torch.stack(state)[:, 0], np.stack(h[-3:]))


def test_a_gradient_goes_back_in_span_over_delay_hops():
    """With D = c I and nothing else, in the linear regime, what is left after τ steps is c^(τ/d)."""
    cell = SkipRNN(1, 1, delay=5, single=False).double()
    with torch.no_grad():
        cell.D.fill_(0.5)
        cell.U.fill_(1)
    x = torch.zeros(1, 31, 1, dtype=torch.float64, requires_grad=True)
    outputs, _ = unfold(cell, x)
    (gradient,) = torch.autograd.grad(outputs[0, -1, 0], x)
    expected = torch.zeros(31, dtype=torch.float64)
    for hops in range(7):
        expected[30 - 5 * hops] = 0.5**hops
    torch.testing.assert_close(gradient[0, :, 0], expected)


def test_a_delay_must_skip_and_fit(make_model):
    with pytest.raises(ConfigError, match="delay=1 skips nothing"):
        make_model("model=skip_rnn", "model.cell.delay=1", "task=latch")
    with pytest.raises(
        ConfigError, match="delay=20 does not fit into sequences of 20 steps; give at most 19"
    ):
        make_model("model=skip_rnn", "model.cell.delay=20", "task=latch", "task.length=20")
    make_model("model=skip_rnn", "model.cell.delay=19", "task=latch", "task.length=20")
