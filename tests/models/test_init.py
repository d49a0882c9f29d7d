"""How weights start."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells import GRU, LSTM
from seqbench.models.init import chrono_bias


def test_chrono_biases_keep_for_times_that_are_uniform_up_to_the_longest():
    keep = chrono_bias(20_000, 101).sigmoid()
    times = keep / (1 - keep)
    assert times.min() >= 1 and times.max() <= 100
    quantiles = torch.quantile(times, torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quantiles, 1 + 99 * torch.tensor([0.25, 0.5, 0.75]), rtol=0.03, atol=0)


def test_the_lstm_opens_as_much_as_it_forgets():
    g, f, candidate, q = LSTM(2, 50, chrono=30).b.detach().split(50)
    assert torch.equal(g, -f) and f.min() >= 0 and f.max() <= torch.log(torch.tensor(29.0))
    assert not candidate.any() and not q.any() and f.std() > 0.1
    g, candidate, q = LSTM(2, 50, chrono=30, coupled=True).b.detach().split(50)
    assert -torch.log(torch.tensor(29.0)) <= g.min() and g.max() <= 0
    assert (1 - g.sigmoid()).min() >= 0.5  # what is forgotten is what is left of g


@pytest.mark.parametrize("form", ["after", "before"])
def test_the_gru_keeps_its_state_as_long_as_its_bias_says(form):
    torch.manual_seed(1)
    cell = GRU(2, 40, form=form, chrono=200)
    torch.nn.init.zeros_(cell.W)
    _, (h,) = unfold(cell, torch.zeros(1, 10, 2), (torch.ones(1, 40),))
    torch.testing.assert_close(h[0], cell.b[40:80].sigmoid() ** 10)


def test_a_range_there_must_be(make_model):
    with pytest.raises(ConfigError, match="chrono=2 leaves no range"):
        make_model("model=gru", "model.cell.chrono=2", "task=latch")
    with pytest.raises(ConfigError, match="forget_gate is false"):
        make_model("model=lstm", "model.cell.chrono=20", "model.cell.forget_gate=false", "task=latch")
