"""Outputs of a step, followed back to the state that they are computed from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqbench.analysis.states import gradients, row_norms, trace
from seqbench.models import Cell, SequenceModel
from seqbench.models.cells.rnn import RNN


class ReadOut(Cell):
    """Its output is computed from its new state, s = tanh(…), and it does not say how."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.randn(hidden_size, input_size))
        self.W = nn.Parameter(torch.randn(hidden_size, hidden_size) / 2)

    def project(self, x):
        return nn.functional.linear(x, self.U)

    def initial_state(self, batch_size):
        zeros = self.U.new_zeros(batch_size, self.hidden_size)
        return {"s": zeros, "w": zeros, "t": torch.zeros(batch_size, dtype=torch.long)}

    def read(self, state):
        return torch.sigmoid(state["s"]) * state["w"]

    def step(self, projected, state):
        s = torch.tanh(projected + state["s"] @ self.W.t() + state["w"])
        first, second = s.chunk(2, dim=-1)
        new = {"s": s, "w": torch.cat([second, first], dim=-1), "t": state["t"] + 1}  # w is computed from s
        return self.read(new), new


class Noisy(ReadOut):
    def step(self, projected, state):
        return super().step(projected + torch.rand_like(projected), state)


class OwnOutput(RNN):
    """A step of its own, with the `output_of` of another."""

    def step(self, projected, state):
        h, state = super().step(projected, state)
        return 3 * h.square(), state


class Stopped(ReadOut):
    def step(self, projected, state):
        output, new = super().step(projected, state)
        return output, new | {"s": new["s"].detach()}


class InPlace(ReadOut):
    def step(self, projected, state):
        s = torch.tanh(projected + state["s"] @ self.W.t())
        twice = s + s
        s.mul_(2)
        return s.sin() + twice, state | {"s": s}


class Hidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class OwnFunction(ReadOut):
    """Its state comes from an operation that torch does not show."""

    def step(self, projected, state):
        s = Hidden.apply(torch.tanh(projected + state["s"] @ self.W.t()))
        return s.sin(), state | {"s": s}


class Largest(ReadOut):
    """Its state is one of several results of an operation."""

    def step(self, projected, state):
        a = projected + state["s"] @ self.W.t()
        s, _ = torch.stack([a, torch.tanh(a)]).max(0)
        return s.sin(), state | {"s": s}


class Kept(ReadOut):
    """A part of its state goes on as it came, and the output reads it."""

    def initial_state(self, batch_size):
        return super().initial_state(batch_size) | {"w": self.U.new_ones(batch_size, self.hidden_size)}

    def step(self, projected, state):
        s = torch.tanh(projected + state["s"] @ self.W.t())
        return s.sin() * state["w"], state | {"s": s}


def of_own_leaves(model, inputs, read):
    """∂L/∂s(t) of two layers, L the sum of the squares of the last output; each state has a zero added."""
    x, added = inputs.transpose(0, 1), []
    for cell in model.layers:
        state, outputs = cell.initial_state(len(inputs)), []
        for projected in cell.project(x):
            _, new = cell.step(projected, state)
            zeros = {name: torch.zeros_like(part) for name, part in new.items() if part.is_floating_point()}
            added.append([zero.requires_grad_() for zero in zeros.values()])
            state = {name: part + zeros.get(name, 0) for name, part in new.items()}
            outputs.append(read(cell, new, state))
        x = torch.stack(outputs)
    loss = model.readout(x[-1]).square().sum()
    found = torch.autograd.grad(loss, [zero for step in added for zero in step], allow_unused=True)
    return [torch.zeros_like(inputs[:, 0, :1]) if part is None else part for part in found]


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        (ReadOut, lambda cell, new, state: cell.read(state)),
        (Stopped, lambda cell, new, state: cell.read({"s": new["s"], "w": state["w"]})),
    ],
)
def test_an_output_is_followed_back_to_the_state_that_it_is_computed_from(kind, read):
    model = SequenceModel(kind, 3, 2, hidden_size=4, num_layers=2, per_step=False).double()
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    run = trace(model, inputs)
    torch.testing.assert_close(run.outputs, model(inputs)[0], rtol=0, atol=1e-14)
    found = gradients(run.outputs.square().sum(), run)
    if kind is Stopped:  # what was detached is a state nonetheless, and the step after it reads it
        assert found[1]["s"][-2].any() and not found[1]["s"][-1].any()
        return
    wanted = iter(of_own_leaves(model, inputs, read))
    for layer in range(2):
        for t in range(5):
            for name in ("s", "w"):
                torch.testing.assert_close(
                    found[layer][name][t], next(wanted).expand(2, 4), rtol=0, atol=1e-14
                )
    assert found[1]["s"][-1].all() and found[1]["w"][-1].all()


def test_an_output_of_ones_own_is_not_that_of_the_base():
    model = SequenceModel(OwnOutput, 3, 2, hidden_size=4, num_layers=2, per_step=False).double()
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    run = trace(model, inputs)
    torch.testing.assert_close(run.outputs, model(inputs)[0], rtol=0, atol=1e-14)
    (found,) = gradients(run.outputs.sum(), run)[1]
    h = run.states[1][0][-1].detach()
    torch.testing.assert_close(found[-1], 6 * h * model.readout.weight.sum(0), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "preset", ["mamba", "mamba2", "gla", "delta_net", "gated_delta_net", "xlstm", "rwkv7"]
)
def test_what_is_read_from_a_matrix_has_its_gradient_at_the_last_step_too(make_model, preset):
    overrides = ("task=latch", "task.length=20", "model/block=none", "model.hidden_size=4")
    model, _ = make_model(f"model={preset}", *overrides)
    model.double()
    inputs = torch.randn(2, 5, 1, dtype=torch.float64)
    run = trace(model, inputs)
    torch.testing.assert_close(run.outputs, model(inputs)[0], rtol=0, atol=1e-10)
    norms = row_norms(gradients(run.outputs.square().sum(), run)[-1])
    assert (norms[-1] > 0).all()


def test_what_a_step_draws_is_drawn_once():
    model = SequenceModel(Noisy, 3, 2, hidden_size=4, num_layers=2).double()
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    torch.manual_seed(5)
    outputs, after = trace(model, inputs).outputs, torch.rand(1)
    torch.manual_seed(5)
    torch.testing.assert_close(model(inputs)[0], outputs, rtol=0, atol=1e-14)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("kind", [OwnFunction, Largest])
def test_an_output_is_followed_through_operations_of_all_kinds(kind):
    model = SequenceModel(kind, 3, 2, hidden_size=4, per_step=False).double()
    run = trace(model, torch.randn(2, 5, 3, dtype=torch.float64))
    (found,) = gradients(run.outputs.sum(), run)
    wanted = run.states[0]["s"][-1].detach().cos() * model.readout.weight.sum(0)
    torch.testing.assert_close(found["s"][-1], wanted, rtol=0, atol=1e-14)


def test_a_part_of_the_state_may_go_on_as_it_came():
    model = SequenceModel(Kept, 3, 2, hidden_size=4, per_step=False).double()
    run = trace(model, torch.randn(2, 5, 3, dtype=torch.float64))
    (found,) = gradients(run.outputs.sum(), run)
    s, read = run.states[0]["s"][-1].detach(), model.readout.weight.sum(0)
    torch.testing.assert_close(found["s"][-1], s.cos() * read, rtol=0, atol=1e-14)
    # The last step reads w as it is after the step before.
    assert not found["w"][-1].any()
    torch.testing.assert_close(found["w"][-2], s.sin() * read, rtol=0, atol=1e-14)


def test_an_output_that_cannot_be_followed_is_refused_until_it_is_said():
    inputs = torch.randn(2, 5, 3)
    with pytest.raises(ValueError, match=r"What InPlace computes .* give it output_of\(projected, state\)"):
        trace(SequenceModel(InPlace, 3, 2, hidden_size=4), inputs)

    class Said(InPlace):
        def output_of(self, projected, state):
            return state["s"].sin() + state["s"]

    model = SequenceModel(Said, 3, 2, hidden_size=4)
    torch.testing.assert_close(trace(model, inputs).outputs, model(inputs)[0])
