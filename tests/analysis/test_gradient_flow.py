"""Gradient norms are those of explicit Jacobians, and tell models apart as the chapter says."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from seqbench.analysis.gradient_flow import GradientFlow, compare, decay, gradient_norms
from seqbench.models import SequenceModel
from seqbench.models.cells.rnn import RNN
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Values


def jacobian_products(model, x, y):
    """‖∂L/∂h(t)‖ for one row, from its last step back, by numpy: L is the cross-entropy at the end."""
    cell = model.layers[0]
    U, W, b = (p.detach().double().numpy() for p in (cell.U, cell.W, cell.b))
    V, c = (p.detach().double().numpy() for p in (model.readout.weight, model.readout.bias))
    h = [np.zeros(len(b))]
    for step in x:
        h.append(np.tanh(b + W @ h[-1] + U @ step))
    y_hat = np.exp(c + V @ h[-1])
    gradient = V.T @ (y_hat / y_hat.sum() - np.eye(len(c))[y])
    norms = [np.linalg.norm(gradient)]
    for t in range(len(x) - 1, 0, -1):
        gradient = (np.diag(1 - h[t + 1] ** 2) @ W).T @ gradient
        norms.append(np.linalg.norm(gradient))
    return norms


def test_norms_are_products_of_jacobians():
    model = SequenceModel(
        lambda i, h: RNN(i, h, recurrent_init="identity"), 2, 3, hidden_size=6, per_step=False
    )
    x, y = torch.randn(4, 12, 2), torch.tensor([0, 2, 1, 2])
    lengths = torch.tensor([12, 5, 1, 12])
    found = gradient_norms(model, Classes(3, per_step=False), Batch(x, y, lengths=lengths))
    rows = [
        jacobian_products(model, x[i, :n].double().numpy(), int(y[i])) for i, n in enumerate(lengths.tolist())
    ]
    wanted = [np.mean([row[d] for row in rows if d < len(row)]) for d in range(12)]
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    assert model.readout.weight.dtype == torch.float32


def test_a_linear_network_at_the_identity_keeps_its_gradient():
    """With tiny weights the slopes of tanh are 1: each step back is a product with W = I, or with ½ I."""
    model = SequenceModel(
        lambda i, h: RNN(i, h, recurrent_init="identity"), 1, 1, hidden_size=5, per_step=False
    )
    batch = Batch(torch.randn(3, 40, 1), torch.ones(3, 1))
    with torch.no_grad():
        model.layers[0].U.mul_(1e-6)
    norms = gradient_norms(model, Values(1, per_step=False), batch)
    np.testing.assert_allclose(norms, norms[0].expand(40), rtol=1e-6)
    with torch.no_grad():
        model.layers[0].W.mul_(0.5)
    norms = gradient_norms(model, Values(1, per_step=False), batch)
    np.testing.assert_allclose(norms, norms[0] * 0.5 ** torch.arange(40.0), rtol=1e-6)
    assert decay(compare({"rnn": [norms]})) == pytest.approx(math.log10(0.5), rel=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_of_targets_at_every_step_the_last_that_counts_is_taken(masked):
    per_step = SequenceModel(RNN, 4, 3, tokens=True, hidden_size=5)
    at_end = SequenceModel(RNN, 4, 3, tokens=True, hidden_size=5, per_step=False)
    at_end.load_state_dict(per_step.state_dict())
    inputs, targets = torch.randint(4, (3, 9)), torch.randint(3, (3, 9))
    ends = torch.tensor([9, 2, 6])
    mask = torch.zeros(3, 9, dtype=torch.bool)
    mask[:, 0] = mask[0, 8] = mask[1, 1] = mask[2, 5] = True
    batch = Batch(inputs, targets, mask=mask) if masked else Batch(inputs, targets, lengths=ends)
    found = gradient_norms(per_step, Classes(3, per_step=True), batch)
    last = targets[torch.arange(3), ends - 1]
    wanted = gradient_norms(at_end, Classes(3, per_step=False), Batch(inputs, last, lengths=ends))
    assert torch.equal(found, wanted) and len(found) == 9


def test_a_row_without_a_target_is_refused():
    batch = Batch(torch.randint(4, (2, 5)), torch.randint(3, (2, 5)), torch.zeros(2, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="without a target"):
        gradient_norms(SequenceModel(RNN, 4, 3, tokens=True), Classes(3, per_step=True), batch)


@pytest.fixture
def flow(make_model):
    """The gradient flow of a model on latch, before training."""

    def make(*overrides, seeds=3):
        norms = []
        for seed in range(seeds):
            torch.manual_seed(seed)
            model, task = make_model(
                "task=latch", "task.length=60", "model.hidden_size=32", *overrides, fresh=True
            )
            norms.append(gradient_norms(model, task.targets, task.validation().rows(0, 16)))
        return compare({"it": norms})

    return make


def test_gradients_of_an_rnn_vanish_exponentially_and_those_of_an_lstm_that_forgets_little_do_not(flow):
    rnn = flow("model=rnn")
    fit = np.polyfit(rnn["distance"], rnn["mean"], 1)
    left = rnn["mean"] - np.polyval(fit, rnn["distance"])
    assert 1 - left.var() / rnn["mean"].var() > 0.99
    # Weights from U(−1/√H, 1/√H) have a spectral radius near 1/√3.
    assert decay(rnn) == pytest.approx(math.log10(3**-0.5), abs=0.05)
    lstm, remembering = flow("model=lstm"), flow("model=lstm", "model.cell.forget_bias=6")
    assert decay(rnn) < decay(lstm) - 0.1 < decay(remembering) - 0.1
    assert decay(remembering) > -0.01


def test_a_span_beyond_single_precision(flow):
    last = flow("model=rnn", "task.length=1000", "model.hidden_size=8", seeds=1)["mean"].iloc[-1]
    assert -200 < last < -100


def test_the_mean_of_logarithms_has_a_t_interval():
    frame = compare({"a": [torch.tensor([1.0, 0.1]), torch.tensor([100.0, 0.0])], "b": [torch.tensor([1.0])]})
    assert list(frame["model"]) == ["a", "a", "b"] and list(frame["seeds"]) == [2, 2, 1]
    first, second, alone = frame.itertuples()
    # Two values 0 and 2: mean 1, s/√n = 1, t with one degree of freedom 12.706.
    assert (first.mean, first.low, first.high) == pytest.approx((1, 1 - 12.7062, 1 + 12.7062), rel=1e-5)
    assert second.mean == -math.inf and math.isnan(second.low)
    assert alone.mean == 0 and math.isnan(alone.high)


def test_decay_is_the_slope_and_passes_over_what_has_vanished():
    rows = pd.DataFrame({"distance": [0, 1, 2, 3], "mean": [1.0, 0.5, 0.0, -np.inf]})
    assert decay(rows) == pytest.approx(-0.5)
    assert math.isnan(decay(rows[:1]))


def test_figure_shows_the_numbers():
    norms = {"a": [torch.tensor([1.0, 0.1]), torch.tensor([1.0, 0.1])], "b": [torch.tensor([1.0, 0.0])]}
    found = GradientFlow(compare(norms), "Weights of stone.")
    figure = found.draw()
    (panel,) = figure.axes
    lines = {line.get_label(): line for line in panel.get_lines()}
    assert list(lines["a"].get_ydata()) == pytest.approx([1, 0.1]) and list(lines["b"].get_ydata()) == [1, 0]
    assert panel.get_yscale() == "log"
    figure.draw_without_rendering()
    table = found.table().set_index("")
    assert found.note.endswith(" Weights of stone.")
    assert list(table.loc["a"]) == ["2", "2", "1", "0.1", "–", "1", "0.1", "-1.000 (×0.100)"]
    assert table.loc["b", "full"] == "0" and math.isnan(float(table.loc["b", "log10 per step"].split()[0]))
