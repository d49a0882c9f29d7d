"""Initial values of weights and biases."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.models.cells.rnn import RNN
from seqbench.models.init import chrono_bias, init_recurrent, set_spectral_radius


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
    g, candidate, q = LSTMVariant(2, 50, chrono=30, coupled=True).b.detach().split(50)
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
    with pytest.raises(ConfigError, match=r"model\.cell\.forget_gate=false removes it"):
        make_model("model=lstm", "model.cell.chrono=20", "model.cell.forget_gate=false", "task=latch")


@pytest.mark.parametrize("kind", [0.7, 1.3])
def test_a_number_is_the_spectral_radius_of_every_block(kind):
    weight = torch.empty(90, 30)
    init_recurrent(weight, kind)
    for block in weight.chunk(3):
        assert torch.linalg.eigvals(block).abs().max().item() == pytest.approx(kind, rel=1e-4)
        assert (block != 0).all()


def test_smart_tanh_is_the_authors_own():
    """In their code h W_hh, and W_hh has 15 nonzeros in each row: 15 connections out of a unit."""
    cell = RNN(2, 50, recurrent_init="smart_tanh")
    assert ((cell.W != 0).sum(0) == 15).all() and ((cell.W != 0).sum(1) != 15).any()
    assert torch.linalg.eigvals(cell.W).abs().max().item() == pytest.approx(0.95, rel=1e-4)
    assert not torch.equal(cell.W != 0, RNN(2, 50, recurrent_init="smart_tanh").W != 0)
    assert RNN(400, 50, recurrent_init="smart_tanh").U.std().item() == pytest.approx(0.01, rel=0.05)


def test_orthogonal_and_identity_are_what_they_say():
    weight = torch.empty(40, 20)
    init_recurrent(weight, "orthogonal")
    for block in weight.chunk(2):
        torch.testing.assert_close(block @ block.T, torch.eye(20), rtol=0, atol=1e-5)
    init_recurrent(weight, "identity")
    assert torch.equal(weight, torch.eye(20).repeat(2, 1))


def test_a_spectral_radius_that_cannot_be_set_is_refused(make_model):
    with pytest.raises(ValueError, match=r"matrix of zeros cannot be scaled to a spectral radius of 0\.9"):
        set_spectral_radius(torch.zeros(3, 3), 0.9)
    with pytest.raises(ConfigError, match=r"model\.cell\.recurrent_init=-1\.0 leaves no recurrence"):
        make_model("model=rnn", "model.cell.recurrent_init=-1", "task=latch")
    with pytest.raises(ConfigError, match=r"model\.cell\.recurrent_init=ortho must be uniform, orthogonal"):
        make_model("model=rnn", "model.cell.recurrent_init=ortho", "task=latch")
