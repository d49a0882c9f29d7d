"""The LSTM with parts removed, coupled, added or replaced: each equals its formula."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from tests.models.cells.formulas import check_step, sigmoid

VARIANTS = {
    "vanilla": {"peepholes": True},
    "no input gate": {"peepholes": True, "input_gate": False},
    "no forget gate": {"peepholes": True, "forget_gate": False},
    "no output gate": {"peepholes": True, "output_gate": False},
    "no input activation": {"peepholes": True, "candidate": "identity"},
    "no output activation": {"peepholes": True, "output": "identity"},
    "coupled": {"peepholes": True, "coupled": True},
    "no peepholes": {},
    "sigma candidate": {"candidate": "sigmoid"},
    "nothing": {"input_gate": False, "forget_gate": False, "output_gate": False},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_step_is_its_formula(options):
    present = [("g", "input_gate"), ("f", "forget_gate"), ("candidate", ""), ("q", "output_gate")]
    names = [n for n, key in present if options.get(key, True) and not (n == "f" and options.get("coupled"))]
    squash = {"tanh": np.tanh, "sigmoid": sigmoid, "identity": lambda a: a}

    def formula(w, x, h, s):
        sums = dict(zip(names, np.split(w["b"] + w["U"] @ x + w["W"] @ h, len(names)), strict=True))
        gates = [name for name in names if name != "candidate"]
        peepholes = {n: w["p"][i] if options.get("peepholes") else 0 for i, n in enumerate(gates)}
        g = sigmoid(sums["g"] + peepholes["g"] * s) if "g" in sums else 1
        f = sigmoid(sums["f"] + peepholes["f"] * s) if "f" in sums else 1
        f = 1 - g if options.get("coupled") else f
        s = f * s + g * squash[options.get("candidate", "tanh")](sums["candidate"])
        q = sigmoid(sums["q"] + peepholes["q"] * s) if "q" in sums else 1
        return squash[options.get("output", "tanh")](s) * q, s

    check_step(LSTMVariant(3, 4, **options), formula)


@pytest.mark.parametrize("options", [{}, {"forget_bias": -2.0}, {"chrono": 20}, {"recurrent_init": 0.9}])
def test_without_removed_parts_it_is_the_lstm_bit_for_bit(options):
    x, results = torch.randn(2, 7, 3), []
    for cell in (LSTM, LSTMVariant):
        torch.manual_seed(1)
        made = cell(3, 4, **options)
        outputs, state = unfold(made, x, engine="loop")
        gradients = torch.autograd.grad(outputs.square().sum(), tuple(made.parameters()))
        results.append([*made.state_dict().values(), outputs, *state, *gradients])
    for plain, variant in zip(*results, strict=True):
        assert torch.equal(plain, variant)


def test_only_the_whole_cell_is_torchs():
    assert LSTMVariant(2, 3).has_native
    assert not any(LSTMVariant(2, 3, **options).has_native for options in VARIANTS.values() if options)


def test_a_removed_gate_has_no_parameters():
    def count(**options):
        return sum(p.numel() for p in LSTMVariant(3, 4, **options).parameters())

    gate = 4 * 3 + 4 * 4 + 4
    for removed in itertools.chain.from_iterable(
        itertools.combinations(("input_gate", "forget_gate", "output_gate"), n) for n in (1, 2, 3)
    ):
        assert count(**dict.fromkeys(removed, False)) == count() - len(removed) * gate
    assert count(coupled=True) == count() - gate
    assert count(peepholes=True) == count() + 3 * 4


def test_forget_bias_finds_its_gate():
    cell = LSTMVariant(2, 3, input_gate=False, forget_bias=2.0)
    assert cell.b.tolist() == [2.0] * 3 + [0.0] * 6
    assert not LSTMVariant(2, 3, forget_gate=False).b.any()


@pytest.mark.parametrize("gate", ["input_gate", "forget_gate"])
def test_coupling_wants_both_gates(make_model, gate):
    with pytest.raises(
        ConfigError,
        match=rf"model\.cell\.coupled=true makes one gate of another: it needs .*model\.cell\.{gate}=true",
    ):
        make_model("model=coupled_lstm", f"model.cell.{gate}=false", "task=latch")
