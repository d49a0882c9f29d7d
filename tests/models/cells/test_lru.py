"""The linear recurrent unit is its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.models import unfold
from seqbench.models.cells.lru import LRU


def test_it_is_the_formula_of_the_paper() -> None:
    cell = LRU(3, 4).double()
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    p = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    eigenvalues = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    B, C = (p[name][0] + 1j * p[name][1] for name in "BC")
    s, expected = np.zeros(4, dtype=complex), []
    for x_t in x[0].numpy():
        s = eigenvalues * s + np.exp(p["log_gamma"]) * (B @ x_t)
        v = torch.nn.functional.gelu(torch.from_numpy((C @ s).real + p["D"] @ x_t)).numpy()
        expected.append(v / (1 + np.exp(-(p["G"] @ v))))
    for engine in ("scan", "loop"):
        outputs, (last,) = unfold(cell, x, engine=engine)
        np.testing.assert_allclose(outputs[0].detach(), expected, rtol=1e-10)
        np.testing.assert_allclose(last[0].detach(), s, rtol=1e-10)


def test_eigenvalues_start_on_the_ring_and_gamma_keeps_the_state_at_unit_size() -> None:
    cell = LRU(1, 2000, min_radius=0.5, max_radius=0.9, max_phase=1.0)
    radius, phase = cell.eigenvalues.abs(), cell.eigenvalues.angle()
    assert 0.5 <= radius.min() < 0.51 and 0.89 < radius.max() <= 0.9001
    assert 0 <= phase.min() < 0.01 and 0.99 < phase.max() <= 1.0001
    # uniform on the ring: the squared radius is uniform
    assert radius.square().mean().item() == pytest.approx((0.25 + 0.81) / 2, abs=0.02)
    torch.testing.assert_close(cell.log_gamma.exp().square(), 1 - radius.square(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("phase", [0.0, -1.0])
def test_no_angle_is_refused(phase: float) -> None:
    with pytest.raises(ValueError, match="leaves no angle for an eigenvalue; give one above 0"):
        LRU(1, 2, max_phase=phase)


@pytest.mark.parametrize("radii", [(0.9, 0.5), (-0.1, 0.5), (0.5, 1.1)])
def test_radii_out_of_range_are_refused(radii: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be 0 ≤ min < max ≤ 1"):
        LRU(1, 2, *radii)
