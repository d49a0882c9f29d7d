"""The LSTM with parts removed, coupled or replaced: each equals its formula."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seqbench.errors import ConfigError
from seqbench.models.cells import LSTM
from tests.models.cells.formulas import close, sigmoid, step, stirred

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
    cell = LSTM(3, 4, **options)
    weights = stirred(cell)
    rng = np.random.default_rng(0)
    x, h, s = rng.normal(size=3), rng.normal(size=4), rng.normal(size=4)

    there = [("g", "input_gate"), ("f", "forget_gate"), ("candidate", ""), ("q", "output_gate")]
    names = [n for n, key in there if options.get(key, True) and not (n == "f" and options.get("coupled"))]
    rows = {name: slice(4 * i, 4 * i + 4) for i, name in enumerate(names)}
    sums = {n: weights["b"][r] + weights["U"][r] @ x + weights["W"][r] @ h for n, r in rows.items()}
    gates = [name for name in names if name != "candidate"]
    peepholes = {n: weights["p"][i] if options.get("peepholes") else 0 for i, n in enumerate(gates)}

    squash = {"tanh": np.tanh, "sigmoid": sigmoid, "identity": lambda a: a}
    g = sigmoid(sums["g"] + peepholes["g"] * s) if "g" in sums else 1
    f = sigmoid(sums["f"] + peepholes["f"] * s) if "f" in sums else 1
    f = 1 - g if options.get("coupled") else f
    after = f * s + g * squash[options.get("candidate", "tanh")](sums["candidate"])
    q = sigmoid(sums["q"] + peepholes["q"] * after) if "q" in sums else 1
    output = squash[options.get("output", "tanh")](after) * q

    found, (h_found, s_found) = step(cell, x, h, s)
    close(found, output)
    close(h_found, output)
    close(s_found, after)


def test_only_the_whole_cell_is_torchs():
    assert LSTM(2, 3).has_native
    assert not any(LSTM(2, 3, **options).has_native for options in VARIANTS.values() if options)


def test_a_removed_gate_has_no_parameters():
    def count(**options):
        return sum(p.numel() for p in LSTM(3, 4, **options).parameters())

    gate = 4 * 3 + 4 * 4 + 4
    for removed in itertools.chain.from_iterable(
        itertools.combinations(("input_gate", "forget_gate", "output_gate"), n) for n in (1, 2, 3)
    ):
        assert count(**dict.fromkeys(removed, False)) == count() - len(removed) * gate
    assert count(coupled=True) == count() - gate
    assert count(peepholes=True) == count() + 3 * 4


def test_forget_bias_finds_its_gate():
    cell = LSTM(2, 3, input_gate=False, forget_bias=2.0)
    assert cell.b.tolist() == [2.0] * 3 + [0.0] * 6
    assert not LSTM(2, 3, forget_gate=False, forget_bias=2.0).b.any()


@pytest.mark.parametrize("gate", ["input_gate", "forget_gate"])
def test_coupling_wants_both_gates(make_model, gate):
    with pytest.raises(ConfigError, match="keep both of them"):
        make_model("model=coupled_lstm", f"model.cell.{gate}=false", "task=latch")
