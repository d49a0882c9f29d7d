"""The regulariser Ω equals its definition, and so does its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

from seqbench.analysis.states import trace
from seqbench.models import Cell, SequenceModel
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.min_gru import MinGRU
from seqbench.models.cells.rnn import RNN
from seqbench.training.omega import Omega, check_omega
from tests.analysis.reference import CELLS, gradient_at, run_layer

LENGTHS = torch.tensor([6, 1, 4])
STEPS = 6


def loss_fn(outputs):
    """Of the last valid step alone, a mean over rows."""
    return outputs.square().sum(-1).mean()


def a_model(cell, num_layers=1):
    model = SequenceModel(CELLS[cell][0], 3, 2, hidden_size=4, num_layers=num_layers, per_step=False).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.6)
    return model, torch.randn(len(LENGTHS), STEPS, 3, dtype=torch.float64)


def taken(model, inputs, lengths=LENGTHS, loss_fn=loss_fn):
    """Ω of a batch, and its gradient in each parameter that has one."""
    omega = Omega(model)
    loss = omega.loss(loss_fn, inputs, lengths)
    model.zero_grad()
    omega.add_gradients(1.0, omega.counts)
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss, omega.value(), found


def flat(state):
    return torch.cat([part.flatten() for part in state])


def constants(model, inputs, output_part):
    """For each layer and pair of steps of each row: layer, cell, x(t+1), s(t) and δ(t+1)."""
    found = []
    for x, length in zip(inputs, LENGTHS.tolist(), strict=True):
        x = x[:length]
        for i, cell in enumerate(model.layers):
            fed = x
            for below in model.layers[:i]:
                fed = torch.cat(run_layer(below, fed)[1])
            states, _ = run_layer(cell, fed)
            for t in range(length - 1):
                delta = gradient_at(model, loss_fn, x, i, t + 1, output_part)
                state = tuple(part.detach() for part in states[t])
                found.append((i, cell, fed[t + 1].detach(), state, flat(delta)))
    return found


def defined(these):
    """Ω by its definition, with an explicit Jacobian for each row and step."""
    terms = {}
    for layer, cell, x, state, delta in these:
        if not delta.any():
            continue
        sizes = [part.shape for part in state]

        def step(s, cell=cell, x=x, sizes=sizes):
            pieces = s.split([size.numel() for size in sizes])
            given = tuple(piece.view(size) for piece, size in zip(pieces, sizes, strict=True))
            return flat(cell.step(cell.project(x[None]), given)[1])

        J = jacobian(step, flat(state))
        terms.setdefault(layer, []).append(((delta @ J).norm() / delta.norm() - 1) ** 2)
    return sum(torch.stack(its).mean() for its in terms.values())


#: The parameters of recurrent matrices.
RECURRENT = {"skip_rnn": {"W", "D"}}


@pytest.mark.parametrize(
    ("cell", "num_layers"), [*((cell, 1) for cell in CELLS), ("rnn", 2), ("lstm", 2), ("skip_rnn", 2)]
)
def test_value_and_gradient_are_those_of_the_definition(cell, num_layers):
    model, inputs = a_model(cell, num_layers)
    _, omega, gradient = taken(model, inputs)
    these = constants(model, inputs, CELLS[cell][1])
    assert len(these) == num_layers * 8
    torch.testing.assert_close(omega, defined(these), rtol=1e-10, atol=0)
    assert omega > 1e-3
    letters = RECURRENT.get(cell, {"W"})
    assert set(gradient) == {f"body.layers.{i}.{letter}" for i in range(num_layers) for letter in letters}
    parameters = [model.get_parameter(name) for name in gradient]
    for _ in range(3):  # along random directions, states and their gradients held fixed
        direction = [torch.randn_like(p) for p in parameters]
        around = []
        for sign in (1, -1):
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p += sign * 1e-6 * d
            around.append(defined(these))
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p -= sign * 1e-6 * d
        slope = (around[0] - around[1]) / 2e-6
        found = sum((g * d).sum() for g, d in zip(gradient.values(), direction, strict=True))
        torch.testing.assert_close(found, slope, rtol=1e-6, atol=1e-7)


def test_of_tanh_units_it_is_the_formula_of_the_docstring():
    """Backwards by hand, as the paper's authors do it: the mean over steps of the mean over the batch."""
    model, inputs = a_model("rnn")
    cell = model.layers[0]
    h = [torch.zeros(3, 4, dtype=torch.float64)]
    for t in range(STEPS):
        h.append(torch.tanh(inputs[:, t] @ cell.U.t() + h[-1] @ cell.W.t() + cell.b).detach())
    last = h[-1].requires_grad_()
    (delta,) = torch.autograd.grad(loss_fn(model.readout(last)), last)
    terms = []
    for t in range(STEPS, 1, -1):
        slope = 1 - torch.tanh(inputs[:, t - 1] @ cell.U.t() + h[t - 1] @ cell.W.t() + cell.b) ** 2
        back = (delta * slope) @ cell.W
        terms.append(((back.norm(dim=1) / delta.norm(dim=1) - 1) ** 2).mean())
        delta = back.detach()
    expected = torch.stack(terms).mean()
    _, omega, gradient = taken(model, inputs, None)
    torch.testing.assert_close(omega, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(
        gradient, {"body.layers.0.W": torch.autograd.grad(expected, cell.W)[0]}, rtol=1e-10, atol=1e-14
    )


def test_the_loss_is_the_models_and_both_train():
    model, inputs = a_model("lstm")
    loss, _, of_omega = taken(model, inputs)
    outputs, _ = model(inputs, LENGTHS)
    torch.testing.assert_close(loss, loss_fn(outputs), rtol=0, atol=1e-14)
    named = dict(model.named_parameters())
    alone = dict(zip(named, torch.autograd.grad(loss_fn(outputs), list(named.values())), strict=True))
    model.zero_grad()
    omega = Omega(model)
    omega.loss(loss_fn, inputs, LENGTHS).backward()
    omega.add_gradients(0.5, omega.counts)
    for name, parameter in named.items():
        expected = alone[name] + 0.5 * of_omega[name] if name in of_omega else alone[name]
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-10, atol=1e-12)


def test_its_descent_lets_gradients_pass():
    """An RNN whose gradients vanish keeps them after some steps down Ω alone."""
    model = SequenceModel(RNN, 3, 2, hidden_size=8, per_step=False)
    inputs = torch.randn(16, 20, 3)
    optimizer = torch.optim.Adam(model.layers.parameters(), lr=0.02)
    omegas = []
    for _ in range(60):
        omegas.append(taken(model, inputs, None)[1].item())
        optimizer.step()
    assert omegas[-1] < omegas[0] / 5


def test_scale_of_the_loss_and_padding_change_nothing():
    model, inputs = a_model("gru")
    _, omega, _ = taken(model, inputs)
    _, scaled, _ = taken(model, inputs, loss_fn=lambda outputs: 1e-30 * loss_fn(outputs))
    torch.testing.assert_close(scaled, omega, rtol=1e-9, atol=0)
    other = torch.where(torch.arange(STEPS)[:, None] < LENGTHS[:, None, None], inputs, torch.randn(()))
    torch.testing.assert_close(taken(model, other)[1], omega, rtol=1e-12, atol=0)


class Scaled(RNN):
    """Its step divides by a part of the state, which is 1 and stays so."""

    def initial_state(self, batch_size):
        return (*super().initial_state(batch_size), self.W.new_ones(batch_size, 1))

    def step(self, projected, state):
        s, scale = state
        h, _ = super().step(projected, (s / scale,))
        return h, (h, scale / scale.detach())

    def output_of(self, projected, state):
        return state[0]


class Root(RNN):
    """Its step has no derivative at the first state."""

    def step(self, projected, state):
        return super().step(projected, (state[0].abs().sqrt(),))

    def output_of(self, projected, state):
        return state[0]


class Empty(Scaled):
    """It has a part without numbers, and one of whole numbers."""

    def initial_state(self, batch_size):
        count = torch.zeros(batch_size, dtype=torch.long)
        return (*super().initial_state(batch_size), self.W.new_zeros(batch_size, 0), count)

    def step(self, projected, state):
        *own, none, count = state
        h, own = super().step(projected, own)
        return h, (*own, none, count + 1)


@pytest.mark.parametrize("kind", [RNN, Scaled, Root, Empty])
def test_rows_of_several_lengths_have_the_terms_that_they_have_alone(kind):
    model = SequenceModel(kind, 3, 2, hidden_size=4, per_step=False).double()
    inputs = torch.randn(len(LENGTHS), STEPS, 3, dtype=torch.float64)
    together, alone = Omega(model), Omega(model)
    together.loss(loss_fn, inputs, LENGTHS)
    for row, length in zip(inputs, LENGTHS.tolist(), strict=True):
        alone.loss(loss_fn, row[None, :length])
    assert together.counts == alone.counts == 8
    torch.testing.assert_close(together.value(), alone.value(), rtol=1e-12, atol=0)
    together.add_gradients(1.0, together.counts)
    found = model.layers[0].W.grad.clone()
    alone.add_gradients(-1.0, alone.counts)
    assert found.all() and found.isfinite().all()
    torch.testing.assert_close(model.layers[0].W.grad, torch.zeros_like(found), rtol=0, atol=1e-12)


def test_steps_that_no_loss_depends_on_have_no_term():
    """The loss is that of the first three steps of six."""
    model = SequenceModel(Root, 3, 2, hidden_size=4).double()
    inputs = torch.randn(len(LENGTHS), STEPS, 3, dtype=torch.float64)
    early, short = Omega(model), Omega(model)
    early.loss(lambda outputs: outputs[:, :3].square().sum(), inputs)
    short.loss(lambda outputs: outputs.square().sum(), inputs[:, :3])
    assert early.counts == short.counts == 2 * len(LENGTHS)
    torch.testing.assert_close(early.value(), short.value(), rtol=1e-12, atol=0)
    early.add_gradients(1.0, early.counts)
    assert model.layers[0].W.grad.isfinite().all()


def test_half_precision_is_near_single():
    model = SequenceModel(RNN, 3, 2, hidden_size=8, num_layers=2, per_step=False)
    inputs = torch.randn(8, 20, 3)
    _, single, wanted = taken(model, inputs, None)
    with torch.autocast("cpu", torch.bfloat16):
        _, half, found = taken(model, inputs, None)
    torch.testing.assert_close(half, single, rtol=0.02, atol=0)
    for name, gradient in found.items():
        torch.testing.assert_close(
            gradient, wanted[name], rtol=0.1, atol=0.05 * float(wanted[name].abs().max())
        )


def test_gradients_that_are_zero_or_have_no_step_before_count_nothing():
    model, inputs = a_model("rnn")
    for case in (
        taken(model, inputs, loss_fn=lambda outputs: 0 * outputs.sum()),
        taken(model, inputs[:, :1], None),
    ):
        assert case[1] == 0 and not case[2]["body.layers.0.W"].any()


@pytest.mark.parametrize("steps", [2, 31, 61])
def test_a_weight_means_the_same_at_every_length_and_where_gradients_have_vanished(steps):
    """With W = 0.1 I, h = 0 and so slopes of 1 every term is (0.1 − 1)², also where δ is 1e-30.

    Its gradient in W is 2 (0.1 − 1) times the square of δ's direction: all ones, of which there are four.
    """
    model = SequenceModel(RNN, 3, 2, hidden_size=4, per_step=False)
    with torch.no_grad():
        model.layers[0].W.copy_(0.1 * torch.eye(4))
        model.readout.weight.copy_(torch.ones(2, 4))
    lengths = None if steps == 2 else torch.tensor([steps, steps // 2])
    _, omega, gradient = taken(model, torch.zeros(2, steps, 3), lengths, lambda outputs: outputs.sum())
    torch.testing.assert_close(omega, torch.tensor(0.81), rtol=1e-5, atol=0)
    expected = torch.full((4, 4), 2 * -0.9 / 4)
    torch.testing.assert_close(gradient["body.layers.0.W"], expected, rtol=1e-5, atol=0)


class Forgetful(Cell):
    """A cell whose state is what came in."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.randn(hidden_size, input_size))

    def project(self, x):
        return x @ self.U.t()

    def step(self, projected, state):
        return projected, (projected,)

    def initial_state(self, batch_size):
        return (self.U.new_zeros(batch_size, self.hidden_size),)


def test_models_without_omega_are_refused_before_training():
    for cell in CELLS:
        with torch.device("meta"):
            check_omega(SequenceModel(CELLS[cell][0], 3, 2, hidden_size=4, num_layers=2))
    with pytest.raises(ValueError, match="FeedForward carries no state"):
        check_omega(SequenceModel(FeedForward, 3, 2))
    with pytest.raises(ValueError, match="Forgetful has no derivative"):
        check_omega(SequenceModel(Forgetful, 3, 2))
    with pytest.raises(ValueError, match="bidirectional"):
        check_omega(SequenceModel(RNN, 3, 2, bidirectional=True))
    check_omega(SequenceModel(LRU, 3, 2))  # its recurrent matrix is made of two parameters
    with pytest.raises(ValueError, match="MinGRU trains no recurrent matrix"):
        check_omega(SequenceModel(MinGRU, 3, 2))


def test_the_engine_is_the_models(monkeypatch):
    asked = []
    monkeypatch.setattr("seqbench.training.omega.trace", lambda *args: asked.append(args[3]) or trace(*args))
    for engine in ("auto", "fused", "native", "loop"):
        model = SequenceModel(RNN, 3, 2, hidden_size=4, per_step=False, engine=engine)
        taken(model, torch.randn(len(LENGTHS), STEPS, 3))
    assert asked == ["auto", "auto", "loop", "loop"]  # a native kernel does not give the gradients at states
