"""S5 is its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.models import unfold
from seqbench.models.cells.s5 import S5, hippo_basis


def test_it_is_the_formula_of_the_paper() -> None:
    cell = S5(3, 4, state_width=5).double()
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    p = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    eigenvalues = -np.exp(p["nu"]) + 1j * p["omega"]
    B, C = (p[name][0] + 1j * p[name][1] for name in "BC")
    kept = np.exp(eigenvalues * np.exp(p["log_step"]))
    taken = ((kept - 1) / eigenvalues)[:, None] * B
    s, expected = np.zeros(5, dtype=complex), []
    for x_t in x[0].numpy():
        s = kept * s + taken @ x_t
        v = torch.nn.functional.gelu(torch.from_numpy((C @ s).real + p["D"] @ x_t)).numpy()
        expected.append(v / (1 + np.exp(-(p["G"] @ v))))
    for engine in ("scan", "loop"):
        outputs, (last,) = unfold(cell, x, engine=engine)
        np.testing.assert_allclose(outputs[0].detach(), expected, rtol=1e-10)
        np.testing.assert_allclose(last[0].detach(), s, rtol=1e-10)


def test_it_starts_at_the_normal_part_of_hippo_legs() -> None:
    n = 6
    i = np.arange(2 * n)
    root = np.sqrt(2 * i + 1)
    hippo = -np.tril(root[:, None] * root, -1) - np.diag(i + 1)
    normal = hippo + 0.5 * root[:, None] * root  # with the term of rank 1
    expected = np.linalg.eigvals(normal)
    frequencies, basis = hippo_basis(n)
    np.testing.assert_allclose(expected.real, -0.5, atol=1e-10)
    np.testing.assert_allclose(frequencies, sorted(expected.imag)[n:], rtol=1e-5)
    vectors = basis.numpy()
    np.testing.assert_allclose(normal @ vectors, vectors * (-0.5 + 1j * frequencies.numpy()), atol=1e-4)
    cell = S5(2, n)
    assert cell.omega.tolist() == frequencies.tolist() and torch.equal(cell.nu, torch.full((n,), 0.5).log())


def test_step_sizes_start_between_two() -> None:
    steps = S5(1, 500, time_step=(0.01, 0.1)).log_step.exp()
    assert 0.0099 < steps.min() < 0.0105 and 0.095 < steps.max() < 0.1001
    assert steps.log().mean().exp().item() == pytest.approx(0.01**0.5 * 0.1**0.5, rel=0.15)


@pytest.mark.parametrize("time_step", [(0.1, 0.01), (0.0, 1.0), (0.1,), (1e-300, 0.1), (0.1, 1e300)])
def test_other_step_sizes_are_refused(time_step: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must be the smallest and the largest step size, both above 0"):
        S5(1, 2, time_step=time_step)


def test_a_state_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="state_width=0 leaves no number of state"):
        S5(1, 2, state_width=0)
