"""Leaky units."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.rnn import RNN
from tests.models.cells.formulas import check_step


def test_step_is_the_leaky_update():
    cell = LeakyRNN(3, 4)

    def formula(w, x, mu):
        alpha = cell.alpha.numpy()
        return [alpha * mu + (1 - alpha) * np.tanh(w["b"] + w["W"] @ mu + w["U"] @ x)]

    check_step(cell, formula)


def test_alpha_0_is_the_plain_rnn():
    leaky, plain = LeakyRNN(3, 4, alpha=0.0), RNN(3, 4)
    plain.load_state_dict({name: getattr(leaky, name) for name in ("U", "W", "b")})
    x = torch.randn(2, 8, 3)
    torch.testing.assert_close(unfold(leaky, x)[0], unfold(plain, x)[0], rtol=0, atol=1e-6)


def test_alpha_1_freezes():
    mu = torch.randn(2, 4)
    outputs, (last,) = unfold(LeakyRNN(3, 4, alpha=1.0), torch.randn(2, 8, 3), (mu,))
    assert torch.equal(last, mu) and torch.equal(outputs, mu[:, None].expand(2, 8, 4))


def test_a_pair_spreads_time_constants_log_uniformly():
    time_constants = 1 / (1 - LeakyRNN(1, 5, alpha=(0.0, 0.9999)).double().alpha.numpy())
    np.testing.assert_allclose(time_constants, [1, 10, 100, 1000, 10000], rtol=1e-3)


def test_one_alpha_is_everyones():
    assert LeakyRNN(1, 3, alpha=0.25).alpha.tolist() == [0.25] * 3


@pytest.mark.parametrize("towards", [-1, 1])
def test_learnt_alpha_stays_inside_0_and_1(towards):
    cell = LeakyRNN(1, 4, alpha=(0.5, 0.9), learn_alpha=True)
    start = cell.alpha.detach().clone()
    torch.testing.assert_close(start[[0, -1]], torch.tensor([0.5, 0.9]))
    # A step on alpha itself would leave [0, 1] at once.
    optimizer = torch.optim.SGD([cell.logit_alpha], lr=20)
    for _ in range(5):
        optimizer.zero_grad()
        (-towards * cell.alpha.sum()).backward()
        optimizer.step()
    assert ((cell.alpha > 0) & (cell.alpha < 1)).all()
    assert (towards * (cell.alpha - start) > 0).all()


def test_learnt_alpha_gets_a_gradient_through_time():
    cell = LeakyRNN(2, 3, alpha=0.5, learn_alpha=True)
    unfold(cell, torch.randn(1, 6, 2))[0].sum().backward()
    assert (cell.logit_alpha.grad != 0).all()
    assert not any("alpha" in name for name, _ in LeakyRNN(2, 3, alpha=0.5).named_parameters())


BAD = [
    ("-0.1", "false", "must lie in"),
    ("1.1", "false", "must lie in"),
    ("[-0.2,0.5]", "false", "must lie in"),
    ("[0.5,1.0]", "false", "never changes"),
    ("0.0", "true", "learn_alpha=true cannot start"),
    ("1.0", "true", "learn_alpha=true cannot start"),
    ("[0.0,0.99]", "true", "learn_alpha=true cannot start"),
    ("[0.1,0.5,0.9]", "false", "alpha"),
    ("slow", "false", "alpha"),
]


@pytest.mark.parametrize(("alpha", "learn", "message"), BAD)
def test_bad_alpha_is_refused(make_model, alpha, learn, message):
    overrides = (f"model.cell.alpha={alpha}", f"model.cell.learn_alpha={learn}")
    with pytest.raises(ConfigError, match=message):
        make_model("model=leaky_rnn", "task=adding", *overrides)


def test_learnt_alpha_goes_with_a_parameter_budget(make_model):
    overrides = ("model.cell.alpha=[0.5,0.99]", "model.cell.learn_alpha=true", "model.param_budget=2000")
    model, _ = make_model("model=leaky_rnn", "task=adding", *overrides)
    assert abs(sum(p.numel() for p in model.parameters()) - 2000) <= 100
