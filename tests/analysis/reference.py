"""Gradients at states the long way round: the model run on from one state, all before it a constant."""

from __future__ import annotations

import torch

from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.deep_transition import DeepTransitionRNN
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.models.cells.mgu import MGU
from seqbench.models.cells.rnn import RNN
from seqbench.models.cells.skip import SkipRNN

#: Cells whose output is a part of their state, and which.
CELLS = {
    "rnn": (RNN, 0),
    "lstm": (LSTM, 0),
    "peephole_lstm": (lambda i, h: LSTMVariant(i, h, peepholes=True), 0),
    "gru": (GRU, 0),
    "gru_as_printed": (lambda i, h: GRU(i, h, form="as_printed"), 0),
    "mgu": (MGU, 0),
    "leaky_rnn": (LeakyRNN, 0),
    "skip_rnn": (lambda i, h: SkipRNN(i, h, delay=3), -1),
    "clockwork_rnn": (lambda i, h: ClockworkRNN(i, h, periods=[1, 2]), 0),
    "deep_transition_rnn": (DeepTransitionRNN, 0),
}


def run_layer(cell, x):
    """The states of a cell after each step, one row at a time, and its outputs."""
    state, states, outputs = cell.initial_state(1), [], []
    for projected in cell.project(x):
        output, state = cell.step(projected[None], state)
        states.append(state)
        outputs.append(output)
    return states, outputs


def gradient_at(model, loss_fn, x, layer, t, output_part):
    """∂L/∂s(t) of a layer, for one row x (T, F): what comes before is a constant, what follows is not."""
    for below in model.layers[:layer]:
        x = torch.cat(run_layer(below, x)[1])
    cell = model.layers[layer]
    states, outputs = run_layer(cell, x)
    leaf = tuple(part.detach().clone().requires_grad_() for part in states[t])
    outputs = [output.detach() for output in outputs[:t]] + [leaf[output_part]]
    state = leaf
    for projected in cell.project(x[t + 1 :]):
        output, state = cell.step(projected[None], state)
        outputs.append(output)
    x = torch.cat(outputs)
    for above in model.layers[layer + 1 :]:
        x = torch.cat(run_layer(above, x)[1])
    loss = loss_fn(model.readout(x if model.per_step else x[-1]))
    found = torch.autograd.grad(loss, leaf, allow_unused=True)
    return tuple(torch.zeros_like(a) if g is None else g for g, a in zip(found, leaf, strict=True))
