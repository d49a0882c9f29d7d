"""The trial of a user's own code: one sentence that names the class, the shape it gave and the one due."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import seqbench
from seqbench.config.build import ModelFactory
from seqbench.errors import ConfigError
from seqbench.models.model import Model
from seqbench.models.sequence import SequenceModel
from seqbench.models.unfold import Cell
from seqbench.runs.trial import try_own_code


class Plain(Cell):
    """h(t) = tanh(U x(t) + h(t−1)), which options make wrong."""

    def __init__(self, input_size: int, hidden_size: int, fault: str = "") -> None:
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.randn(hidden_size, input_size))
        self.fault = fault

    def project(self, x):
        if self.fault == "grows":
            self.b = nn.Parameter(self.U.new_zeros(self.hidden_size))
        return nn.functional.linear(x, self.U.t() if self.fault == "transposed" else self.U)

    def step(self, projected, state):
        h = torch.tanh(projected + state)
        if self.fault == "values" and h.sum().item() > 1e6:
            return h, h
        if self.fault == "no state":
            return h
        output = torch.cat([h, h], -1) if self.fault == "wide" else h
        return output, (h[:1] if self.fault == "one row" else h)

    def initial_state(self, batch_size):
        if self.fault == "late":
            return torch.zeros(batch_size, self.hidden_size + 1)
        return self.U.new_zeros(batch_size, self.hidden_size)


class Net(Model):
    """One linear layer, which options make wrong."""

    def __init__(self, input_size: int, output_size: int, fault: str = "") -> None:
        super().__init__()
        self.readout = nn.Linear(input_size, output_size)
        self.fault = fault

    def forward(self, inputs):
        if self.fault == "bare":
            return self.readout(inputs)
        if self.fault == "steps":
            return self.readout(inputs).mean(1), None
        if self.fault == "raises":
            raise KeyError("where")
        return self.readout(inputs), None


@pytest.fixture(scope="module")
def task():
    return seqbench.build_task(seqbench.compose(["task=narma10", "task.length=30", "task.eval_size=2"]))


def tried(task, make):
    """Return what the trial of a model says."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with torch.device("meta"):
        model = make()
    torch.set_rng_state(before)
    try:
        try_own_code(model, task, make)
    except ConfigError as error:
        return str(error)
    finally:
        assert torch.equal(torch.get_rng_state(), before), "no generator moves"
    return ""


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        *(("", ""), ("values", "")),
        ("transposed", "Plain.project of an input (2, 1) fails with RuntimeError: "),
        ("no state", "Plain.step must return a pair, outputs and a state, and returned (2, 4)."),
        ("wide", "Plain.step puts out (2, 8), and (2, 4) is due, rows and output_size."),
        ("one row", "Plain.step makes a state (1, 4) of (2, 4), and its shape must not change."),
        (
            "grows",
            "A pass through SequenceModel adds or removes body.layers.0.b; parameters and buffers must be "
            "there from the start, or no checkpoint can be read.",
        ),
        (
            "late",
            "Plain.step from a state (2, 5) fails with RuntimeError: ",
        ),
    ],
)
def test_a_cell(task, fault, sentence):
    def make():
        return SequenceModel(
            lambda i, h: Plain(i, h, fault), task.inputs.size, task.targets.size, hidden_size=4
        )

    told = tried(task, make)
    assert told.startswith(sentence) if sentence else told == ""


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("", ""),
        ("bare", "Net.forward must return a pair, outputs and a state, and returned (2, 30, 1)."),
        ("steps", "Net.forward of inputs (2, 30, 1) puts out (2, 1), and (2, 30, 1) is due."),
        ("raises", "Net.forward of inputs (2, 30, 1) fails with KeyError: 'where'."),
    ],
)
def test_a_model(task, fault, sentence):
    assert tried(task, lambda: Net(task.inputs.size, task.targets.size, fault)) == sentence


def test_models_and_cells_of_seqbench_are_not_tried(task, monkeypatch):
    cfg = seqbench.compose(["task=narma10", "model=lstm"])
    monkeypatch.setattr(type(task), "train_batches", lambda *_: pytest.fail("a batch is drawn"))
    assert tried(task, ModelFactory(cfg, task)) == ""
