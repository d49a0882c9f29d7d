"""The coupled oscillatory RNN, against torchrecurrent."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call
from torchrecurrent import coRNNCell

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.cornn import CoRNN
from tests.models.cells.formulas import check_against, stepped, zeros


def test_it_is_torchrecurrents():
    options = {"dt": 0.3, "gamma": 1.5, "epsilon": 0.7}
    theirs = coRNNCell(3, 4, **options, dtype=torch.float64)

    def other(w, x):
        zero = x.new_zeros(4)
        named = {"weight_ih": w["U"], "weight_hh": w["W"], "weight_ch": w["Z"]}
        named |= {"bias_ih": w["b"], "bias_hh": zero, "bias_ch": zero}
        return stepped(lambda x, *state: functional_call(theirs, named, (x, state)), x, *zeros(x, 4, 4))

    check_against(CoRNN(3, 4, **options), other)


def test_time_scales_are_how_long_an_undriven_oscillator_swings():
    cell = CoRNN(1, 1, dt=0.05, gamma=1.0, epsilon=0.2).double()
    for parameter in (cell.W, cell.Z, cell.b):
        torch.nn.init.zeros_(parameter)
    y, z = (torch.ones(1, 1, dtype=torch.float64) for _ in range(2))
    _, (y, z) = unfold(cell, torch.zeros(1, 2000, 1, dtype=torch.float64), (y, z))
    kept = torch.stack([y, z]).norm().item() ** (1 / 2000)  # of the state, at a step
    phrase = cell.time_scales()
    assert phrase.startswith("time constants of ")
    assert 1 / (1 - kept) == pytest.approx(float(phrase.split()[3]), rel=0.05)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.cell.dt=0"], "must be a step above 0 and at most 1"),
        (["model.cell.gamma=-1"], "must be 0 or more"),
        (["model.cell.dt=1"], "make an oscillator that grows by itself; give a smaller"),
        (["model.cell.epsilon=1e10"], "make an oscillator that grows by itself; give a smaller"),
    ],
)
def test_no_stable_oscillator_is_refused(make_model, overrides, message):
    with pytest.raises(ConfigError, match=message):
        make_model("model=cornn", "task=latch", *overrides)
