"""Long expressive memory.

torchrecurrent 0.2.5 computes y from the z of the step before; the paper, and its authors' code, from the new
one. So only the z of a step is compared with it.
"""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call
from torchrecurrent import LEMCell

from seqbench.errors import ConfigError
from seqbench.models.cells.lem import LEM
from tests.models.cells.formulas import check_against, randomised, stepped, zeros


def test_it_is_the_papers_equation_3():
    dt = 0.4

    def other(w, x):
        (U1, U2, Uz, Uy), (W1, W2, Wz, Wy), (b1, b2, bz, by) = (w[name].chunk(4) for name in "UWb")

        def step(x, y, z):
            step_of_z = dt * (0.5 + 0.5 * torch.tanh((y @ W1.T + x @ U1.T + b1) / 2))
            step_of_y = dt * (0.5 + 0.5 * torch.tanh((y @ W2.T + x @ U2.T + b2) / 2))
            z = (1 - step_of_z) * z + step_of_z * torch.tanh(y @ Wz.T + x @ Uz.T + bz)
            y = (1 - step_of_y) * y + step_of_y * torch.tanh(z @ Wy.T + x @ Uy.T + by)
            return y, z

        return stepped(step, x, *zeros(x, 4, 4))

    check_against(LEM(3, 4, dt=dt), other)


def test_z_of_a_step_is_torchrecurrents():
    cell, theirs = LEM(3, 4, dt=0.4), LEMCell(3, 4, dt=0.4, dtype=torch.float64)
    randomised(cell)
    w, zero = dict(cell.named_parameters()), torch.zeros(16, dtype=torch.float64)
    order = [1, 0, 2, 3]  # they stack the step of y first
    U, b = (torch.cat([w[name].chunk(4)[i] for i in order]) for name in "Ub")
    W1, W2, Wz, Wy = w["W"].chunk(4)
    named = {"weight_ih": U, "bias_ih": b, "weight_hh": torch.cat([W2, W1, Wz]), "weight_ch": Wy}
    named |= {"bias_hh": zero[:12], "bias_ch": zero[:4]}
    x, y, z = (torch.randn(5, size, dtype=torch.float64) for size in (3, 4, 4))
    found = cell.step(cell.project(x), (y, z))[1][1]
    expected = functional_call(theirs, named, (x, (y, z)))[1]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_smaller_step_keeps_states_longer():
    assert LEM(1, 2).time_scales() == "time constants of 2 steps"
    assert LEM(1, 2, dt=0.02).time_scales() == "time constants of 100 steps"


@pytest.mark.parametrize("dt", ["0", "-1", "1.5"])
def test_no_step_is_refused(make_model, dt):
    with pytest.raises(ConfigError, match="must be a step above 0 and at most 1"):
        make_model("model=lem", "task=latch", f"model.cell.dt={dt}")
