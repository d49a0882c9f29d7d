"""The regulariser Ω equals its definition, and so does its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

from seqbench.models import Cell, SequenceModel
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.rnn import RNN
from seqbench.training.omega import check_omega, loss_and_omega
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


def flat(state):
    return torch.cat([part.flatten() for part in state])


def constants(model, inputs, output_part):
    """For each layer and pair of steps of each row: cell, x(t+1), s(t) and δ(t+1)."""
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
                found.append((cell, fed[t + 1].detach(), state, flat(delta)))
    return found


def defined(these):
    """Ω by its definition, with an explicit Jacobian for each row and step."""
    total = torch.zeros((), dtype=torch.float64)
    for cell, x, state, delta in these:
        if not delta.any():
            continue
        sizes = [part.shape for part in state]

        def step(s, cell=cell, x=x, sizes=sizes):
            pieces = s.split([size.numel() for size in sizes])
            given = tuple(piece.view(size) for piece, size in zip(pieces, sizes, strict=True))
            return flat(cell.step(cell.project(x[None]), given)[1])

        J = jacobian(step, flat(state))
        total += ((delta @ J).norm() / delta.norm() - 1) ** 2
    return total / len(LENGTHS)


@pytest.mark.parametrize(
    ("cell", "num_layers"), [*((cell, 1) for cell in CELLS), ("rnn", 2), ("lstm", 2), ("skip_rnn", 2)]
)
def test_value_and_gradient_are_those_of_the_definition(cell, num_layers):
    model, inputs = a_model(cell, num_layers)
    _, omega = loss_and_omega(model, loss_fn, inputs, LENGTHS)
    these = constants(model, inputs, CELLS[cell][1])
    assert len(these) == num_layers * 8
    torch.testing.assert_close(omega, defined(these), rtol=1e-10, atol=0)
    assert omega > 1e-3
    parameters = [p for p in model.layers.parameters() if p.requires_grad]
    gradient = torch.autograd.grad(omega, parameters, allow_unused=True, materialize_grads=True)
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
        found = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        torch.testing.assert_close(found, slope, rtol=1e-6, atol=1e-7)


def test_the_loss_is_the_models_and_both_train():
    model, inputs = a_model("lstm")
    loss, omega = loss_and_omega(model, loss_fn, inputs, LENGTHS)
    outputs, _ = model(inputs, LENGTHS)
    torch.testing.assert_close(loss, loss_fn(outputs), rtol=0, atol=1e-14)
    parameters = list(model.parameters())
    alone = torch.autograd.grad(loss_fn(outputs), parameters)
    of_omega = torch.autograd.grad(
        omega, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    (loss + 0.5 * omega).backward()
    for parameter, g, o in zip(parameters, alone, of_omega, strict=True):
        torch.testing.assert_close(parameter.grad, g + 0.5 * o, rtol=1e-10, atol=1e-12)
    assert not any(o.any() for o in of_omega[-2:])  # the readout's are no part of a step


def test_its_descent_lets_gradients_pass():
    """An RNN whose gradients vanish keeps them after some steps down Ω alone."""
    model = SequenceModel(RNN, 3, 2, hidden_size=8, per_step=False)
    inputs = torch.randn(16, 20, 3)
    optimizer = torch.optim.Adam(model.layers.parameters(), lr=0.01)
    omegas = []
    for _ in range(60):
        _, omega = loss_and_omega(model, loss_fn, inputs)
        optimizer.zero_grad()
        omega.backward()
        optimizer.step()
        omegas.append(omega.item())
    assert omegas[-1] < omegas[0] / 10


def test_scale_of_the_loss_and_padding_change_nothing():
    model, inputs = a_model("gru")
    _, omega = loss_and_omega(model, loss_fn, inputs, LENGTHS)
    _, scaled = loss_and_omega(model, lambda outputs: 1e-30 * loss_fn(outputs), inputs, LENGTHS)
    torch.testing.assert_close(scaled, omega, rtol=1e-9, atol=0)
    other = torch.where(torch.arange(STEPS)[:, None] < LENGTHS[:, None, None], inputs, torch.randn(()))
    _, same = loss_and_omega(model, loss_fn, other, LENGTHS)
    torch.testing.assert_close(same, omega, rtol=1e-12, atol=0)


def test_gradients_that_are_zero_or_have_no_step_before_count_nothing():
    model, inputs = a_model("rnn")
    _, omega = loss_and_omega(model, lambda outputs: 0 * outputs.sum(), inputs)
    assert omega == 0
    _, omega = loss_and_omega(model, loss_fn, inputs[:, :1])
    assert omega == 0


def test_a_vanished_gradient_in_single_precision_still_has_its_direction():
    """With W = 0.1 I, h = 0 and so slopes of 1 every term is (0.1 − 1)², also where δ is 1e-30."""
    model = SequenceModel(RNN, 3, 2, hidden_size=4, per_step=False)
    with torch.no_grad():
        model.layers[0].W.copy_(0.1 * torch.eye(4))
    _, omega = loss_and_omega(model, lambda outputs: outputs.sum(), torch.zeros(2, 31, 3))
    torch.testing.assert_close(omega, torch.tensor(30 * 0.81), rtol=1e-5, atol=0)


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
