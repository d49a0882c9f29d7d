"""The orthogonal RNN, against geotorch."""

from __future__ import annotations

import math

import pytest
import torch
from geotorch.so import SO

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.orthogonal import OrthogonalRNN
from tests.models.cells.formulas import check_against, stepped, zeros

MAPS = {"cayley": ("cayley", -2), "exponential": ("expm", 1)}
every_map = pytest.mark.parametrize("parametrisation", MAPS)


@every_map
def test_its_matrix_is_geotorchs(parametrisation):
    name, scale = MAPS[parametrisation]  # theirs is (I − X/2)⁻¹ (I + X/2)
    theirs = SO((4, 4), triv=name, lower=False).double()
    theirs.base.copy_(torch.eye(4))

    def other(w, x):
        W = theirs(scale * w["A"])

        def step(x, h):
            a = x @ w["U"].T + h @ W.T
            return (torch.where(a.abs() + w["b"] > 0, a + w["b"] * a.sign(), torch.zeros_like(a)),)

        return stepped(step, x, *zeros(x, 4))

    check_against(OrthogonalRNN(3, 4, parametrisation=parametrisation), other)


@every_map
def test_it_starts_as_rotations_and_stays_orthogonal(parametrisation):
    cell = OrthogonalRNN(2, 7, parametrisation=parametrisation, max_angle=0.5).double()
    (W,) = cell.recurrent_matrices().values()
    angles = torch.linalg.eigvals(W.detach()).angle().abs()
    assert angles.max() <= 0.5 and (angles > 1e-3).sum() == 6
    torch.nn.init.normal_(cell.A)
    W = cell.recurrent_matrix.detach()
    torch.testing.assert_close(W @ W.t(), torch.eye(7).double(), rtol=0, atol=1e-12)


@every_map
@pytest.mark.parametrize("engine", ["fused", "loop"])
def test_the_matrix_is_made_once_for_a_sequence(monkeypatch, parametrisation, engine):
    calls = []
    for name in ("solve", "matrix_exp"):
        made = getattr(torch.linalg, name)
        monkeypatch.setattr(torch.linalg, name, lambda *a, f=made: calls.append(f) or f(*a))
    cell, x = OrthogonalRNN(2, 5, parametrisation=parametrisation), torch.randn(3, 20, 2)
    unfold(cell, x, engine=engine)  # compiled here, if at all
    calls.clear()
    outputs, _ = unfold(cell, x, engine=engine)
    assert len(calls) == (1 if engine == "loop" else 0)  # a compiled cell calls torch's operation itself
    outputs.sum().backward()
    assert cell.A.grad.triu(1).abs().max() > 0 and not cell.A.grad.tril().any()


@pytest.mark.parametrize("checkpoint_steps", [None, 3])
def test_a_loop_in_pieces_has_the_same_gradient(checkpoint_steps):
    torch.manual_seed(0)
    cell, x = OrthogonalRNN(2, 5).double(), torch.randn(3, 10, 2).double()
    outputs, _ = unfold(cell, x, engine="loop", checkpoint_steps=checkpoint_steps)
    found = torch.autograd.grad(outputs.square().sum(), list(cell.parameters()))
    state, steps = cell.initial_state(3), []
    for x_t in x.unbind(1):
        h, state = cell.step(cell.project(x_t), state)
        steps.append(h)
    expected = torch.autograd.grad(torch.stack(steps).square().sum(), list(cell.parameters()))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_only_the_cayley_transform_is_stacked_over_seeds():
    assert OrthogonalRNN(1, 2).vectorizable
    assert not OrthogonalRNN(1, 2, parametrisation="exponential").vectorizable


@pytest.mark.parametrize("angle", ["0", "-1", "3.2"])
def test_no_angle_is_refused(make_model, angle):
    with pytest.raises(ConfigError, match="must lie above 0, and be at most π"):
        make_model("model=orthogonal_rnn", "task=latch", f"model.cell.max_angle={angle}")
    assert OrthogonalRNN(1, 9, max_angle=math.pi).A.isfinite().all()
