"""The reservoir."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.echo_state import EchoState
from tests.models.cells.formulas import check_step


def test_a_step_is_the_formula():
    def formula(w, x, h):
        return [0.3 * h + 0.7 * np.tanh(w["b"] + w["W"] @ h + w["U"] @ x)]

    check_step(EchoState(2, 4, alpha=0.3), formula)


def test_weights_are_as_asked_and_not_learnt():
    cell = EchoState(3, 200, spectral_radius=1.1, input_scale=0.5, bias_scale=0.1, connectivity=0.05)
    assert torch.linalg.eigvals(cell.W).abs().max().item() == pytest.approx(1.1, rel=1e-4)
    assert ((cell.W != 0).sum(1) == 10).all()
    assert 0.49 < cell.U.abs().max() <= 0.5 and 0.09 < cell.b.abs().max() <= 0.1
    assert not any(parameter.requires_grad for parameter in cell.parameters())


@pytest.mark.parametrize(("radius", "forgets"), [(0.8, True), (2.5, False)])
def test_the_echo_fades_where_the_spectral_radius_is_small(radius, forgets):
    cell = EchoState(1, 100, spectral_radius=radius, input_scale=0.1, bias_scale=0.0).double()
    x = torch.randn(1, 200, 1, dtype=torch.float64)
    starts = [(torch.randn(1, 100, dtype=torch.float64),) for _ in range(2)]
    (a,), (b,) = (unfold(cell, x, start)[1] for start in starts)
    assert ((a - b).norm() < 1e-9) == forgets


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("spectral_radius", 0, "leaves no recurrence"),
        ("connectivity", 0, "a matrix of zeros has no spectral radius"),
        ("connectivity", 1.5, "must be at most 1"),
        (
            "connectivity",
            0.0005,
            r"^model.cell.connectivity=0.0005 leaves a unit no connection to 500 units; give at least 0.002",
        ),
        ("alpha", 1, r"must lie in \[0, 1\)"),
        ("alpha", -0.1, r"must lie in \[0, 1\)"),
        ("input_scale", -1, "must be 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(make_model, key, value, words):
    with pytest.raises(ConfigError, match=words):
        make_model("model=echo_state", f"model.cell.{key}={value}", "task=latch")
