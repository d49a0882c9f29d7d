"""Readouts: linear, deep, and solved for by ridge regression."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

import seqbench
from seqbench.errors import ConfigError
from seqbench.models import SequenceModel, unfold
from seqbench.models.cells.echo_state import EchoState
from seqbench.models.cells.rnn import RNN
from seqbench.models.readouts import DeepReadout, RidgeReadout
from seqbench.tasks.base import generator


def network(strength: float = 1e-3, hidden_size: int = 20, **options) -> SequenceModel:
    readout = partial(RidgeReadout, ridge=strength)
    return SequenceModel(EchoState, 2, 3, hidden_size=hidden_size, readout=readout, **options).double()


def ridge(H: torch.Tensor, Y: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """V and c by the normal equations, c without a penalty."""
    rows = torch.cat([H, torch.ones(len(H), 1).double()], dim=1)
    penalty = strength * torch.eye(rows.shape[1]).double()
    penalty[-1, -1] = 0
    solution = torch.linalg.solve(rows.T @ rows + penalty, rows.T @ Y)
    return solution[:-1].T, solution[-1]


@pytest.mark.parametrize(("given", "units"), [(None, 4), (7, 7)])
def test_a_deep_readout_has_a_hidden_layer(given, units):
    model = SequenceModel(RNN, 3, 2, hidden_size=4, readout=partial(DeepReadout, hidden_size=given)).double()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    h, _ = unfold(model.layers[0], x)
    first, _, second = model.readout
    assert first.weight.shape == (units, 4)
    expected = torch.tanh(h @ first.weight.T + first.bias) @ second.weight.T + second.bias
    torch.testing.assert_close(model(x)[0], expected)


def test_one_pass_in_parts_is_ridge_regression_on_everything():
    model = network()
    batches = [(torch.randn(4, 15, 2).double(), torch.randn(4, 15, 3).double()) for _ in range(3)]
    masks = [None, torch.rand(4, 15) < 0.5, torch.arange(15).expand(4, 15) >= 5]
    for (x, y), mask in zip(batches, masks, strict=True):
        model.accumulate(x, y, mask)
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
    model.accumulate(x, y, lengths=lengths)
    model.solve()
    H = torch.stack([unfold(model.layers[0], x[i : i + 1, :n])[0][0, -1] for i, n in enumerate(lengths)])
    V, c = ridge(H, torch.nn.functional.one_hot(y, 3).double(), 1e-3)
    torch.testing.assert_close(model.readout.weight, V, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(model(x, lengths)[0], H @ V.T + c, rtol=1e-7, atol=1e-9)


def test_output_feedback_is_fitted_with_the_truth():
    model = network(feedback=True)
    x, y = torch.randn(4, 15, 2).double(), torch.randn(4, 15, 3).double()
    model.accumulate(x, y)
    model.solve()
    before = torch.cat([torch.zeros(4, 1, 3).double(), y[:, :-1]], dim=1)
    H = unfold(model.layers[0], torch.cat([x, before], dim=-1))[0]
    V, _ = ridge(H.flatten(0, 1), y.flatten(0, 1), 1e-3)
    torch.testing.assert_close(model.readout.weight, V, rtol=1e-7, atol=1e-9)


def test_fewer_rows_than_units_leave_no_error_and_small_weights():
    model = network(0.0, 40)
    x, y = torch.randn(1, 10, 2).double(), torch.randn(1, 10, 3).double()
    model.accumulate(x, y)
    model.solve()
    torch.testing.assert_close(model(x)[0], y, rtol=0, atol=1e-8)
    assert model.readout.weight.isfinite().all() and model.readout.weight.abs().max() < 10


def test_any_cell_can_be_a_reservoir():
    """With a solved readout an LSTM keeps its weights, and predicts better than the variance."""
    overrides = ["task=narma10", "task.length=400", "model=lstm", "model.hidden_size=30", "batch_size=4"]
    overrides += ["model/readout=ridge", "task.eval_size=20", "trainer.max_steps=10", "trainer.eval_every=10"]
    overrides += ["logger=none", "n_seeds=2"]
    cfg = seqbench.compose(overrides)
    for result in seqbench.train(cfg):
        assert result.status == "finished" and 0 < result.test["400"]["nmse"] < 0.9, result.error
        torch.manual_seed(generator("weights", result.seed).initial_seed())
        drawn = seqbench.build_model(cfg, seqbench.build_task(cfg)).state_dict()
        (path,) = Path().glob(f"runs/*/*/seed-{result.seed}/checkpoints/best.pt")
        weights = torch.load(path)
        assert all(torch.equal(weights[name], drawn[name]) for name in drawn if name.startswith("body."))
        assert not torch.equal(weights["readout.weight"], drawn["readout.weight"])


def test_what_makes_no_sense_is_refused():
    def build(*overrides):
        cfg = seqbench.compose([*overrides, "task=latch"])
        return seqbench.build_model(cfg, seqbench.build_task(cfg))

    with pytest.raises(ConfigError, match=r"ridge=-1\.0 must be 0 or more"):
        build("model=echo_state", "model.readout.ridge=-1")
    with pytest.raises(ConfigError, match="hidden_size=0 leaves no unit; give at least 1"):
        build("model=rnn", "model/readout=deep", "model.readout.hidden_size=0")
    with pytest.raises(
        ConfigError, match=r"model.readout.rigde is unknown to .* Did you mean 'model.readout.ridge'"
    ):
        build("model=rnn", "model/readout=ridge", "+model.readout.rigde=1")
    with pytest.raises(NotImplementedError, match="no readout that is solved for"):
        seqbench.models.Seq2Seq(RNN, 3, 3, end=0).solve()
