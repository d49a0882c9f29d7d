"""The clockwork RNN."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.clockwork import ClockworkRNN
from tests.models.cells.formulas import close, randomised


def test_unfolding_is_the_recurrence():
    cell = ClockworkRNN(2, 6, periods=(4, 1, 2))
    w = randomised(cell)
    periods = [1, 1, 2, 2, 4, 4]
    xs = np.random.default_rng(0).normal(size=(10, 2))
    h, expected = np.zeros(6), []
    for t, x in enumerate(xs):
        new = h.copy()
        for i, period in enumerate(periods):
            if t % period == 0:
                heard = sum(w["W"][i, j] * h[j] for j in range(6) if periods[j] >= period)
                new[i] = np.tanh(w["b"][i] + heard + w["U"][i] @ x)
        h = new
        expected.append(h)
    outputs, (last, t) = unfold(cell, torch.from_numpy(xs[None]))
    close(outputs[0], np.stack(expected))
    close(last[0], h)
    assert t.item() == 10


def test_a_group_moves_at_multiples_of_its_period_alone():
    cell = ClockworkRNN(2, 8, periods=(1, 2, 4, 8))
    outputs, _ = unfold(cell, torch.randn(3, 33, 2))
    moved = (outputs[:, 1:] != outputs[:, :-1]).all(0)
    for unit, period in enumerate([1, 1, 2, 2, 4, 4, 8, 8]):
        assert moved[:, unit].nonzero().flatten().tolist() == [t - 1 for t in range(1, 33) if t % period == 0]


def test_groups_are_as_equal_as_can_be():
    assert ClockworkRNN(1, 7, periods=(1, 2, 4)).period.tolist() == [1, 1, 1, 2, 2, 4, 4]
    assert ClockworkRNN(1, 2, periods=(1, 2, 4)).period.tolist() == [1, 2]


def test_periods_must_be_at_least_1(make_model):
    for periods in ("[]", "[0,2]"):
        with pytest.raises(ConfigError, match="must be whole numbers of at least 1"):
            make_model("model=clockwork_rnn", f"model.cell.periods={periods}", "task=latch")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_the_clock_goes_on(dtype):
    cell = ClockworkRNN(2, 7, periods=(1, 2, 4, 8, 16, 32, 301)).to(dtype)
    steps = 1 + 4 * 602
    outputs, (_, t) = unfold(cell, torch.randn(1, steps, 2, dtype=dtype))
    moved = (outputs[:, 1:] != outputs[:, :-1])[0]
    assert t.item() == steps
    assert moved[:, 6].nonzero().flatten().tolist() == [301 * n - 1 for n in range(1, 9)]
