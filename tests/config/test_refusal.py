"""Refusals: what constructors say, with the whole key, also of parts within parts."""

from __future__ import annotations

import pytest
import torch

from seqbench.config.refusal import refusal

NODE = {
    "_target_": "seqbench.models.sequence.SequenceModel",
    "hidden_size": 64,
    "dilation": 2,
    "cell": {"_target_": "seqbench.models.cells.leaky.LeakyRNN", "alpha": [0.1, 2.0], "min_radius": 0.9},
    "readout": {"_target_": "seqbench.models.readouts.DeepReadout", "hidden_size": 0, "ridge": -1.0},
}
ADAM = {"_target_": "torch.optim.Adam", "betas": [-1.0, 0.9], "eps": 1e-8, "nesterov": True, "momentum": 0.0}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("alpha=[0.1, 2.0] must lie in [0, 1]."), "m.cell.alpha=[0.1, 2.0] must lie in [0, 1]."),
        (ValueError("ridge=-1.0 must be 0 or more."), "m.readout.ridge=-1.0 must be 0 or more."),
        (ValueError("hidden_size=0 leaves no unit."), "m.readout.hidden_size=0 leaves no unit."),
        (ValueError("hidden_size=64 is odd"), "m.hidden_size=64 is odd."),
        (ValueError("min_radius=0.9, max_radius=0.5 must"), "m.cell.min_radius=0.9, max_radius=0.5 must."),
        (ValueError("layer 3 needs a smaller dilation"), "m.dilation=2: layer 3 needs a smaller dilation."),
        (ValueError("engine=native: there is none"), "m: engine=native: there is none."),
        (RuntimeError("It broke:\n  here\n  and there"), "m: It broke: here and there."),
        (
            TypeError("SequenceModel.__init__() missing 1 required positional argument: 'width'"),
            "m.width has no",
        ),
        (
            TypeError("LeakyRNN.__init__() missing 1 required keyword-only argument: 'rate'"),
            "m.cell.rate has no",
        ),
        (
            TypeError("wandb() missing 2 required positional arguments: 'a' and 'b'"),
            "m.a has no value, and wandb",
        ),
        (
            TypeError("missing a required argument: 'cell'"),
            "m.cell has no value, and SequenceModel needs one.",
        ),
        (MemoryError(), "m.hidden_size=64 is larger than any memory; give less."),
        (
            RuntimeError("Storage size calculation overflowed with sizes=[4]"),
            "m.hidden_size=64 is larger than",
        ),
    ],
)
def test_the_whole_key_is_named(error, sentence):
    told = str(refusal(error, NODE, "m"))
    assert told.startswith(sentence) and "\n" not in told and not told.endswith("..")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "Invalid beta parameter at index 0: -1.0",
            "o.betas=[-1.0,0.9]: Invalid beta parameter at index 0: -1.0.",
        ),
        ("Invalid epsilon value: -1", "o.eps=1e-08: Invalid epsilon value: -1."),
        ("Nesterov momentum requires a momentum", "o.nesterov=true: Nesterov momentum requires a momentum."),
        ("Invalid learning rate: -1", "o: Invalid learning rate: -1."),
    ],
)
def test_a_key_that_a_foreign_message_mentions_is_named(message, sentence):
    assert str(refusal(ValueError(message), ADAM, "o")) == sentence


def test_a_fault_in_a_constructors_code_is_told_with_its_place():
    try:
        torch.nn.ModuleDict({"a.b": torch.nn.Identity()})
    except KeyError as error:
        told = str(refusal(error, NODE, "m"))
    assert told.startswith("m: KeyError in module.py, line ") and "a.b" in told


def test_what_the_place_of_a_class_sets_is_told_with_its_whole_key():
    node = {"cell": {"_target_": "lab.Cell", "controller": {"_target_": "lab.LSTM"}}}
    error = TypeError("LSTM.__init__() got multiple values for argument 'hidden_size'")
    told = "model.cell.controller.hidden_size is set by the place of LSTM; leave it out."
    assert str(refusal(error, node, "model")) == told
