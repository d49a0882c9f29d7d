"""Every state of a model, and the gradient at it."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_map

from seqbench.analysis.states import Tapped, check_followed, check_stack, gradients, row_norms, trace
from seqbench.models import SequenceModel
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.rnn import RNN
from seqbench.models.memory.ntm import NTM
from seqbench.models.unfold.fused import kernel
from tests.analysis.reference import CELLS, gradient_at
from tests.models.test_presets import PRESETS

LENGTHS = torch.tensor([7, 1, 4])


@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("cell", [*CELLS, "lru"])
def test_outputs_are_the_models(cell, lengths, per_step):
    make = LRU if cell == "lru" else CELLS[cell][0]
    model = SequenceModel(make, 3, 2, hidden_size=5, num_layers=2, per_step=per_step).double()
    inputs = torch.randn(3, 7, 3, dtype=torch.float64)
    run = trace(model, inputs, lengths)
    outputs, last = model(inputs, lengths)
    torch.testing.assert_close(run.outputs, outputs, rtol=0, atol=1e-12)
    ends = torch.full((3,), 6) if lengths is None else lengths - 1
    for states, end in zip(run.states, last, strict=True):
        for i, part in enumerate(end):
            of_row = states[i][ends, torch.arange(3)]
            torch.testing.assert_close(of_row, part, rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ["loop", "auto"])
@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_the_model_run_on_from_a_state(cell, per_step, engine):
    make, output_part = CELLS[cell]
    model = SequenceModel(make, 3, 2, hidden_size=4, num_layers=2, per_step=per_step).double()
    inputs = torch.randn(3, 7, 3, dtype=torch.float64)

    def loss_fn(outputs):
        return outputs.square().sum()

    def masked(outputs):
        valid = torch.arange(7) < LENGTHS[:, None]
        return (outputs.square() * valid[..., None]).sum() if per_step else outputs.square().sum()

    run = trace(model, inputs, LENGTHS, engine)
    found = gradients(masked(run.outputs), run)
    for layer in range(2):
        for row, length in enumerate(LENGTHS.tolist()):
            for t in range(7):
                mine = [part[t, row] for part in found[layer]]
                if t >= length:
                    assert not any(part.any() for part in mine)
                    continue
                wanted = gradient_at(model, loss_fn, inputs[row, :length], layer, t, output_part)
                for a, b in zip(mine, wanted, strict=True):
                    torch.testing.assert_close(a, b[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("cell", CELLS)
def test_a_compiled_cell_has_the_states_and_gradients_of_the_loop(cell, lengths):
    model = SequenceModel(CELLS[cell][0], 3, 2, hidden_size=4, num_layers=2).double()
    inputs = torch.randn(3, 7, 3, dtype=torch.float64)
    slow, fast = (trace(model, inputs, lengths, engine) for engine in ("loop", "auto"))
    for layer, x, taps in zip(model.layers, fast.inputs, fast.at, strict=True):
        given = tree_map(lambda part: part.transpose(0, 1), (layer.project(x), *taps))
        kernel(Tapped(layer), given, layer.initial_state(3), lengths)  # raises an error if there is none
    torch.testing.assert_close(fast.states, slow.states, rtol=0, atol=1e-12)
    found, wanted = (gradients(run.outputs.square().sum(), run) for run in (fast, slow))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_a_cell_that_reads_its_state_out_has_its_gradient_at_the_last_step_too():
    model = SequenceModel(LRU, 3, 2, hidden_size=4, per_step=False).double()
    x = torch.randn(1, 5, 3, dtype=torch.float64)
    run = trace(model, x)
    ((found,),) = gradients(run.outputs.sum(), run)
    cell = model.layers[0]
    leaf = run.states[0][0][-1].detach().requires_grad_()
    loss = model.readout(cell.read(cell.project(x[:, -1]), leaf)).sum()
    (wanted,) = torch.autograd.grad(loss, leaf)
    torch.testing.assert_close(found[-1], wanted, rtol=0, atol=1e-12)
    # The recurrence is a product with λ, and its adjoint one with the conjugate.
    torch.testing.assert_close(found[-2], wanted * cell.eigenvalues.conj(), rtol=0, atol=1e-12)


def test_what_a_turing_machine_has_read_has_its_gradient_at_the_last_step_too():
    model = SequenceModel(partial(NTM, memory_size=4, word_size=3), 3, 2, hidden_size=4, per_step=False)
    run = trace(model, torch.randn(1, 5, 3))
    (found,) = gradients(run.outputs.sum(), run)
    h, read = model.readout.weight.sum(0).split([4, 3])
    torch.testing.assert_close(found.controller[0][-1, 0], h)
    torch.testing.assert_close(found.read[-1, 0, 0], read)
    assert not found.memory[-1].any()  # after the last step nothing reads it


def test_frozen_cells_have_gradients_at_their_states(make_model):
    model, _ = make_model("model=echo_state", "task=latch", "model.hidden_size=6")
    run = trace(model, torch.randn(2, 5, 1))
    ((found,),) = gradients(run.outputs.sum(), run)
    assert found.all() and not model.layers[0].W.requires_grad


def test_norms_of_rows_do_not_underflow():
    parts = torch.tensor([[[3e-30], [0.0]]]), torch.tensor([[[4e-30j], [0j]]])
    found = row_norms(parts)
    torch.testing.assert_close(found, torch.tensor([[5e-30, 0]]), rtol=1e-6, atol=0)


@pytest.mark.slow
def test_every_preset_is_taken_or_refused_in_a_sentence(make_model):
    refused = []
    for preset in PRESETS:
        model, task = make_model(f"model={preset}", "task=latch", "task.length=20")
        batch = task.validation().rows(0, 2)
        try:
            check_stack(model)
        except ValueError as error:
            assert len(str(error).splitlines()) == 1
            refused.append(preset)
        else:
            model.double()  # a readout that was solved for makes much of rounding
            inputs = batch.inputs.double() if batch.inputs.is_floating_point() else batch.inputs
            outputs, _ = model(inputs)
            slow, fast = (trace(model, inputs, None, engine) for engine in ("loop", "auto"))
            torch.testing.assert_close(slow.outputs, outputs, rtol=1e-9, atol=1e-9)
            found, wanted = (gradients(run.outputs.square().sum(), run) for run in (fast, slow))
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-9)
    assert {"dilated_rnn", "output_rnn"} <= set(refused)
    assert not {"rnn", "lstm", "gru", "lru", "skip_rnn", "echo_state"} & set(refused)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (nn.Linear(1, 1), "Linear has no recurrent layers"),
        (SequenceModel(RNN, 2, 2, bidirectional=True), "bidirectional=true"),
        (SequenceModel(RNN, 2, 2, feedback=True), "feedback=true"),
        (SequenceModel(RNN, 2, 2, num_layers=2, dilation=2), "dilation"),
        (SequenceModel(FeedForward, 2, 2), "FeedForward carries no state"),
    ],
)
def test_other_models_are_refused(model, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_stack(model)


def test_a_layer_that_is_no_cell_is_refused():
    model = SequenceModel(RNN, 2, 2)
    model.layers[0] = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="Linear is not a Cell"):
        check_stack(model)


def test_the_norm_has_a_gradient_also_at_zero():
    part = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]], requires_grad=True)
    row_norms((part,)).sum().backward()
    torch.testing.assert_close(part.grad, torch.tensor([[[0.6, 0.8], [0.0, 0.0]]]))
    assert math.isclose(row_norms((part,)).sum().item(), 5)


def test_outputs_that_are_not_the_models_are_refused():
    model = SequenceModel(RNN, 3, 2).double()
    inputs, generator = torch.randn(2, 5, 3, dtype=torch.float64), torch.get_rng_state()
    outputs = trace(model, inputs).outputs
    check_followed(model, outputs, generator, inputs)
    with pytest.raises(ValueError, match=r"SequenceModel puts out other numbers .* by up to 0\.1,"):
        check_followed(model, outputs + 0.1, generator, inputs)


def test_a_first_state_of_another_kind_than_the_others_is_refused():
    class Named(NamedTuple):
        h: torch.Tensor

    class NamedFirst(RNN):
        def initial_state(self, batch_size):
            return Named(*super().initial_state(batch_size))

    class Narrow(RNN):
        def initial_state(self, batch_size):
            return (self.W.new_zeros(batch_size, 1),)

        def step(self, projected, state):
            return super().step(projected, (state[0].expand(-1, self.hidden_size),))

        def output_of(self, projected, state):
            return state[0]

    NamedFirst.output_of = Narrow.output_of
    for kind in (NamedFirst, Narrow):
        for engine in ("loop", "auto"):
            with pytest.raises(ValueError, match=rf"{kind.__name__}\.step returns a state of another kind"):
                trace(SequenceModel(kind, 3, 2), torch.randn(2, 5, 3), None, engine)


def test_to_ask_whether_an_output_is_said_draws_nothing():
    class Dropped(RNN):
        def step(self, projected, state):
            _, state = super().step(projected, state)
            return self.output_of(projected, state), state

        def output_of(self, projected, state):
            return state[0] * torch.rand(())

    model, inputs = SequenceModel(Dropped, 3, 2), torch.randn(2, 5, 3)
    torch.manual_seed(5)
    trace(model, inputs)
    after = torch.rand(1)
    torch.manual_seed(5)
    for _ in range(5):  # the step draws once, and its output is then computed anew
        torch.rand(()), torch.rand(())
    assert torch.equal(torch.rand(1), after)


def test_a_first_state_in_a_precision_of_its_own_is_refused():
    class Zeros(RNN):
        def initial_state(self, batch_size):
            return (torch.zeros(batch_size, self.hidden_size),)

    trace(SequenceModel(Zeros, 3, 2), torch.randn(2, 5, 3))
    with pytest.raises(ValueError, match=r"Zeros.initial_state returns torch.float32 .* self.W.new_zeros"):
        trace(SequenceModel(Zeros, 3, 2).double(), torch.randn(2, 5, 3, dtype=torch.float64))
