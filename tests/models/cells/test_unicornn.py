"""The undamped oscillatory RNN, against torchrecurrent."""

from __future__ import annotations

import math

import pytest
import torch
from torch.func import functional_call
from torchrecurrent import UnICORNNCell

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.unicornn import UnICORNN
from tests.models.cells.formulas import check_against, stepped, zeros


def test_it_is_torchrecurrents():
    theirs = UnICORNNCell(3, 4, dt=0.7, alpha=0.9, recurrent_bias=True, dtype=torch.float64)

    def other(w, x):
        named = {"weight_ih": w["U"], "weight_hh": w["w"], "weight_ch": w["c"]}
        named |= {"bias_ih": w["b"], "bias_hh": x.new_zeros(4)}
        return stepped(lambda x, *state: functional_call(theirs, named, (x, state)), x, *zeros(x, 4, 4))

    check_against(UnICORNN(3, 4, dt=0.7, alpha=0.9), other)


def test_an_oscillator_swings_without_end_in_the_period_that_is_said():
    cell = UnICORNN(1, 1, dt=0.2).double()
    for parameter, value in ((cell.w, 1.0), (cell.c, 0.0)):
        torch.nn.init.constant_(parameter, value)
    start = torch.full((1, 1), 1e-3, dtype=torch.float64)
    y = unfold(cell, torch.zeros(1, 5000, 1, dtype=torch.float64), (start, 0 * start))[0].detach().flatten()
    assert y[-100:].max() == pytest.approx(1e-3, rel=0.01)
    crossings = ((y[:-1] < 0) & (y[1:] >= 0)).sum().item()
    assert cell.time_scales() == "oscillations of 62.8 steps"
    assert 5000 / crossings == pytest.approx(2 * math.pi / 0.1, rel=0.02)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.cell.dt=0"], "must be a step above 0 and at most 1"),
        (["model.cell.alpha=-1"], "must be 0 or more, and below"),
        (["model.cell.dt=1", "model.cell.alpha=4"], "must be 0 or more, and below"),
    ],
)
def test_no_stable_oscillator_is_refused(make_model, overrides, message):
    with pytest.raises(ConfigError, match=message):
        make_model("model=unicornn", "task=latch", *overrides)
