"""Any model is observed in use and left as it was; the type of its record decides how that is shown."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from seqbench.analysis.observations import HeadsPresentation, Presentation, observe, picture, present
from seqbench.errors import ConfigError
from seqbench.models.model import Model
from seqbench.models.observations import Observation
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch

COPY = ["task=ntm_copy", "task.length=5", "task.bits=3", "task.eval_size=4"]
NTM = ["model=ntm", "model.hidden_size=6", "model.cell.memory_size=9", "model.cell.word_size=4"]
STORIES = ["task=stories", "task.types=[two_facts]", "task.length=6", "task.eval_size=5"]


@dataclass(frozen=True)
class Gains(Observation):
    """A record of a model below."""

    gains: torch.Tensor


@dataclass(frozen=True)
class Wishes(Observation):
    """A record that nobody can show."""


@dataclass(frozen=True)
class Gain(Presentation):
    """How `Gains` is shown."""

    title = "Gain"
    gain: torch.Tensor

    @property
    def note(self):
        return "one gain"

    def table(self):
        return pd.DataFrame({"gain": [f"{self.gain:.2f}"]})

    def numbers(self):
        return pd.DataFrame({"gain": [float(self.gain)]})

    def draw(self):
        return Figure()


@present.register
def _(observation: Gains, task: Task, batch: Batch) -> list[Presentation]:
    return [Gain(gain) for gain in observation.gains]


class Gated(Model):
    """A model of another package: it scales the input's first number by the row's number of steps."""

    def __init__(self, record=Gains):
        super().__init__()
        self.record = record
        self.weight = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def unobservable(self):
        return None

    def observe(self, inputs, lengths=None):
        if lengths is not None and lengths.min() < 1:
            raise ValueError("A row is empty.")
        assert not self.training and not torch.is_grad_enabled() and inputs.dtype == torch.float64
        outputs = self.weight * inputs
        return Gains(outputs, outputs[:, 0, 0]) if self.record is Gains else self.record(outputs)


def test_a_record_of_another_package_registers_how_it_is_shown(make_task):
    task, model = make_task(*COPY), Gated()
    batch = Batch(torch.tensor([[[3.0]], [[4.0]]]), torch.zeros(2, 1, 1))
    assert [seen.numbers()["gain"].item() for seen in observe(model, task, batch)] == [6, 8]
    assert model.training and isinstance(picture(model, task, batch), Figure)
    with pytest.raises(ConfigError, match=r"^A row is empty\.$"):
        observe(model, task, batch._replace(lengths=torch.tensor([1, 0])))
    with pytest.raises(ConfigError, match="is registered for records of the type Wishes"):
        observe(Gated(Wishes), task, batch)


def test_the_model_is_as_it_was(make_model):
    model, task = make_model(*COPY, *NTM)
    model.train()
    model.readout.eval()
    (seen,) = observe(model, task, task.validation().rows(0, 1))
    assert isinstance(seen, HeadsPresentation)
    assert model.training and model.layers[0].training and not model.readout.training
    assert not seen.read.requires_grad and all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=gru"], "GRU has no memory or attention to look into."),
        (["model=ntm", "model.bidirectional=true"], "model.bidirectional=true makes states that are not"),
        (["model=ntm", "model.feedback=true"], "model.feedback=true makes states that are not those"),
        (["model=ntm", "model.num_layers=2", "model.dilation=2"], "model.dilation=2 makes states of several"),
        (["task=reverse", "model=seq2seq"], "A fixed context has no attention that could be observed."),
    ],
)
def test_a_model_that_cannot_be_observed_says_why(make_model, overrides, sentence):
    task_of = overrides if overrides[0].startswith("task=") else [*COPY, *overrides]
    model, task = make_model(*task_of, "model.hidden_size=4")
    assert picture(model, task, task.validation()) is None
    with pytest.raises(ConfigError) as error:
        observe(model, task, task.validation())
    assert str(error.value).startswith(sentence)


def test_a_picture_is_of_the_first_row(make_model):
    model, task = make_model(*STORIES, "model=memn2n", "model.hidden_size=4")
    batch = task.validation()
    assert picture(model, task, batch).get_suptitle() == observe(model, task, batch)[0].note
