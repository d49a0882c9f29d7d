"""The readout that is solved for."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import EchoStateNetwork, unfold
from seqbench.models.cells.echo_state import EchoState


def network(**options) -> EchoStateNetwork:
    return EchoStateNetwork(EchoState, 2, 3, **{"hidden_size": 20, "ridge": 1e-3} | options).double()


def ridge(H: torch.Tensor, Y: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """V and c by the normal equations, c without a penalty."""
    rows = torch.cat([H, torch.ones(len(H), 1).double()], dim=1)
    penalty = strength * torch.eye(rows.shape[1]).double()
    penalty[-1, -1] = 0
    solution = torch.linalg.solve(rows.T @ rows + penalty, rows.T @ Y)
    return solution[:-1].T, solution[-1]


def test_one_pass_in_pieces_is_ridge_regression_on_everything():
    model = network()
    batches = [(torch.randn(4, 15, 2).double(), torch.randn(4, 15, 3).double()) for _ in range(3)]
    masks = [None, torch.rand(4, 15) < 0.5, torch.arange(15).expand(4, 15) >= 5]
    for (x, y), mask in zip(batches, masks, strict=True):
        model.absorb(x, y, mask)
    model.solve()
    keep = [torch.ones(4, 15, dtype=torch.bool) if mask is None else mask for mask in masks]
    H = torch.cat([unfold(model.layers[0], x)[0][k] for (x, _), k in zip(batches, keep, strict=True)])
    Y = torch.cat([y[k] for (_, y), k in zip(batches, keep, strict=True)])
    V, c = ridge(H, Y, 1e-3)
    torch.testing.assert_close(model.readout.weight, V, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(model.readout.bias, c, rtol=1e-8, atol=1e-10)


def test_one_class_for_each_ragged_sequence():
    model = network(per_step=False, classes=True)
    x, y, lengths = torch.randn(30, 9, 2).double(), torch.randint(3, (30,)), torch.randint(1, 10, (30,))
    model.absorb(x, y, lengths=lengths)
    model.solve()
    H = torch.stack([unfold(model.layers[0], x[i : i + 1, :n])[0][0, -1] for i, n in enumerate(lengths)])
    V, c = ridge(H, torch.nn.functional.one_hot(y, 3).double(), 1e-3)
    torch.testing.assert_close(model.readout.weight, V, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(model(x, lengths)[0], H @ V.T + c, rtol=1e-7, atol=1e-9)


def test_output_feedback_is_fitted_with_the_truth():
    model = network(feedback=True)
    x, y = torch.randn(4, 15, 2).double(), torch.randn(4, 15, 3).double()
    model.absorb(x, y)
    model.solve()
    before = torch.cat([torch.zeros(4, 1, 3).double(), y[:, :-1]], dim=1)
    H = unfold(model.layers[0], torch.cat([x, before], dim=-1))[0]
    V, _ = ridge(H.flatten(0, 1), y.flatten(0, 1), 1e-3)
    torch.testing.assert_close(model.readout.weight, V, rtol=1e-7, atol=1e-9)


def test_fewer_rows_than_units_leave_no_error_and_small_weights():
    model = network(ridge=0.0, hidden_size=40)
    x, y = torch.randn(1, 10, 2).double(), torch.randn(1, 10, 3).double()
    model.absorb(x, y)
    model.solve()
    torch.testing.assert_close(model(x)[0], y, rtol=0, atol=1e-8)
    assert model.readout.weight.isfinite().all()


def test_what_makes_no_sense_is_refused(make_model):
    with pytest.raises(ConfigError, match=r"ridge=-1\.0 must be 0 or more"):
        make_model("model=echo_state", "model.ridge=-1", "task=latch")
    with pytest.raises(ConfigError, match="deep_output=true is not for a readout that is solved for"):
        make_model("model=echo_state", "model.deep_output=true", "task=latch")
