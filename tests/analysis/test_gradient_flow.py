"""Gradient norms are those of explicit Jacobians, and tell models apart as the chapter says."""

from __future__ import annotations

import copy
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


class Weighted(Values):
    """Its loss of a step has the step before in it, and weights that come with the batch."""

    def losses(self, outputs, batch):
        moved = outputs.diff(dim=1, prepend=torch.zeros_like(outputs[:, :1])).square().mean(-1)
        return (super().losses(outputs, batch) + moved) * batch.extras["weight"]


def test_the_loss_of_a_step_is_that_of_its_sequence():
    model = SequenceModel(RNN, 2, 1, hidden_size=4)
    x, y, weight = torch.randn(3, 6, 2), torch.randn(3, 6, 1), torch.rand(3, 6)
    ends = torch.tensor([6, 3, 5])
    batch = Batch(x, y, lengths=ends).with_extras(weight=weight)
    found = gradient_norms(model, Weighted(1, per_step=True), batch)
    twin = copy.deepcopy(model).double()
    norms = []
    for row, end in enumerate(ends.tolist()):
        h = [torch.zeros(1, 4, dtype=torch.float64).requires_grad_()]
        for step in x[row].double():
            h.append(twin.layers[0].step(twin.layers[0].project(step[None]), (h[-1],))[0])
        o = twin.readout(torch.cat(h))[:, 0]
        before = o[end - 1] if end > 1 else 0
        loss = ((o[end] - y[row, end - 1, 0]) ** 2 + (o[end] - before) ** 2) * weight[row, end - 1].double()
        norms.append([float(g.norm()) for g in torch.autograd.grad(loss, h[end:0:-1])])
    wanted = [np.mean([row[d] for row in norms if d < len(row)]) for d in range(6)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_target_after_the_end_of_its_row_is_not_the_last():
    model, targets = SequenceModel(RNN, 4, 3, tokens=True, hidden_size=5), torch.randint(3, (2, 6))
    inputs, ends = torch.randint(4, (2, 6)), torch.tensor([6, 4])
    mask = torch.tensor([[True] * 6, [False, True, True, False, False, True]])
    kind = Classes(3, per_step=True)
    found = gradient_norms(model, kind, Batch(inputs, targets, mask, ends))
    mask[1, 5] = False
    assert torch.equal(found, gradient_norms(model, kind, Batch(inputs, targets, mask, ends)))
    mask[1] = torch.tensor([False, False, False, False, True, True])
    with pytest.raises(ValueError, match="without a target"):
        gradient_norms(model, kind, Batch(inputs, targets, mask, ends))


def test_nothing_is_dropped_and_nothing_is_drawn():
    class Dropping(RNN):
        def step(self, projected, state):
            dropped = torch.nn.functional.dropout(projected, 0.5, self.training)
            return super().step(dropped, state)

    model = SequenceModel(Dropping, 2, 3, hidden_size=6, per_step=False)
    plain = SequenceModel(RNN, 2, 3, hidden_size=6, per_step=False)
    plain.load_state_dict(model.state_dict())
    batch = Batch(torch.randn(4, 7, 2), torch.tensor([0, 2, 1, 2]))
    kind = Classes(3, per_step=False)
    assert torch.equal(gradient_norms(model, kind, batch), gradient_norms(plain, kind, batch))
    assert model.training


def test_a_model_with_a_forward_of_its_own_is_refused():
    class Doubled(SequenceModel):
        def forward(self, inputs, lengths=None):
            outputs, state = super().forward(inputs, lengths)
            return 2 * outputs, state

    batch = Batch(torch.randn(4, 7, 2), torch.tensor([0, 2, 1, 2]))
    with pytest.raises(ValueError, match="Doubled puts out other numbers than its layers do"):
        gradient_norms(Doubled(RNN, 2, 3, per_step=False), Classes(3, per_step=False), batch)


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


@pytest.mark.parametrize("beyond", [math.nan, math.inf])
def test_what_overflows_has_not_vanished(beyond):
    frame = compare({"a": [torch.tensor([1.0, beyond, 0.0]), torch.tensor([1.0, 0.0, beyond])]})
    assert frame["mean"].tolist()[0] == 0 and frame["mean"].isna().tolist() == [False, True, True]
    shown = GradientFlow(frame, "Weights of stone.")
    row = shown.table().iloc[0]
    assert (row["0"], row["1"], row["full"], row["log10 per step"]) == ("1", "–", "–", "–")
    assert "–: with a seed at least this is no finite number" in shown.note
    shown.draw().draw_without_rendering()
    never = GradientFlow(compare({"a": [torch.full((3,), beyond)]}), "")
    never.draw().draw_without_rendering()


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
    assert table.loc["b", "full"] == "0" and table.loc["b", "log10 per step"] == "–"
