"""Back-propagation through time by the chapter's equations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from seqbench.analysis.bptt import bptt
from seqbench.analysis.states import gradients, trace
from seqbench.models import SequenceModel
from seqbench.models.cells.rnn import RNN
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes


def a_model(tokens):
    model = SequenceModel(RNN, 4, 3, tokens=tokens, hidden_size=5).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7)
    return model


def letters(model):
    cell = model.layers[0]
    return {"U": cell.U, "W": cell.W, "V": model.readout.weight, "b": cell.b, "c": model.readout.bias}


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("lengths", [None, [7, 1, 4]])
@pytest.mark.parametrize("tokens", [False, True])
def test_equals_autograd_on_ragged_batches(tokens, lengths, mean):
    model = a_model(tokens)
    inputs = torch.randint(4, (3, 7)) if tokens else torch.randn(3, 7, 4, dtype=torch.float64)
    targets = torch.randint(3, (3, 7))
    lengths = None if lengths is None else torch.tensor(lengths)
    mask = torch.ones(3, 7, dtype=torch.bool) if lengths is None else torch.arange(7) < lengths[:, None]
    weights = letters(model)
    found = bptt(**weights, inputs=inputs, targets=targets, lengths=lengths, mean=mean)
    run = trace(model, inputs, lengths)
    batch = Batch(inputs, targets, mask)
    loss = Classes(3, per_step=True).loss(run.outputs, batch) * (1 if mean else mask.sum())
    ((h,),) = gradients(loss, run)
    torch.testing.assert_close(found["h"], h.transpose(0, 1), rtol=0, atol=1e-10)
    assert not found["h"][~mask].any() and found["h"][mask].all()
    outputs, _ = model(inputs, lengths)
    loss = Classes(3, per_step=True).loss(outputs, batch) * (1 if mean else mask.sum())
    expected = torch.autograd.grad(loss, list(weights.values()))
    for name, gradient in zip(weights, expected, strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-10, msg=name)


def test_two_steps_by_hand():
    """One unit, two classes: every number of [5] to [23] worked out."""
    U, W, V, b, c = 0.5, -0.8, (1.0, -1.0), 0.1, (0.2, 0.0)
    x, y = (1.0, 2.0), (0, 1)
    h1 = math.tanh(0.1 + 0.5)
    h2 = math.tanh(0.1 - 0.8 * h1 + 1.0)

    def grad_o(h, target):
        first = 1 / (1 + math.exp(-(0.2 + 2 * h)))  # softmax of (0.2 + h, −h)
        return (first - (target == 0), 1 - first - (target == 1))

    o1, o2 = grad_o(h1, y[0]), grad_o(h2, y[1])
    g2 = o2[0] - o2[1]
    g1 = -0.8 * (1 - h2**2) * g2 + o1[0] - o1[1]
    a1, a2 = (1 - h1**2) * g1, (1 - h2**2) * g2
    expected = {
        "c": [o1[0] + o2[0], o1[1] + o2[1]],
        "b": [a1 + a2],
        "V": [[o1[0] * h1 + o2[0] * h2], [o1[1] * h1 + o2[1] * h2]],
        "W": [[a2 * h1]],
        "U": [[a1 * 1.0 + a2 * 2.0]],
        "h": [[[g1], [g2]]],
    }

    def tensor(numbers):
        return torch.tensor(numbers, dtype=torch.float64)

    weights = {
        "U": tensor([[U]]),
        "W": tensor([[W]]),
        "V": tensor(V)[:, None],
        "b": tensor([b]),
        "c": tensor(c),
    }
    found = bptt(**weights, inputs=tensor(x)[None, :, None], targets=torch.tensor([y]))
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        torch.testing.assert_close(found[name], tensor(numbers), rtol=0, atol=1e-14, msg=name)
