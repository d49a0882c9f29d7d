"""S4D is its formula, as a recurrence and as a convolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.models import unfold
from seqbench.models.cells.s4d import CHUNK, S4D


@pytest.mark.parametrize("inputs", [3, 4])
def test_it_is_the_convolution_of_the_paper(inputs: int) -> None:
    """y = K ∗ u, K(t) = 2 Re Σₙ Cₙ (exp(λₙΔ) − 1)/λₙ exp(λₙΔ t), section 3."""
    cell = S4D(inputs, 4, state_width=5).double()
    x = torch.randn(1, 7, inputs, dtype=torch.float64)
    p = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    assert ("E" in p) == (inputs == 3)
    u = x[0].numpy() @ p["E"].T if inputs == 3 else x[0].numpy()
    eigenvalues = -np.exp(p["nu"]) + 1j * p["omega"]
    C = p["C"][0] + 1j * p["C"][1]
    kept = np.exp(eigenvalues * np.exp(p["log_step"])[:, None])
    kernel = np.stack([2 * (C * (kept - 1) / eigenvalues * kept**t).sum(1).real for t in range(7)])
    y = np.stack([sum(kernel[t - j] * u[j] for j in range(t + 1)) for t in range(7)]) + p["D"] * u
    v = torch.nn.functional.gelu(torch.from_numpy(y)).numpy()
    mixed = v @ p["mix.weight"].T + p["mix.bias"]
    expected = mixed[:, :4] / (1 + np.exp(-mixed[:, 4:]))
    for engine in ("scan", "loop"):
        outputs, _ = unfold(cell, x, engine=engine)
        np.testing.assert_allclose(outputs[0].detach(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("steps", [CHUNK - 1, CHUNK, 2 * CHUNK + 5])
def test_chunks_are_steps(steps: int) -> None:
    """Outputs, states and gradients, for rows that end within, at the end of, and before a chunk."""
    cell = S4D(3, 4, state_width=5).double()
    lengths = torch.tensor([steps, CHUNK - 1, min(CHUNK, steps), min(CHUNK + 1, steps), 1])
    x = torch.randn(5, steps, 3, dtype=torch.float64)
    state = (torch.randn(5, 20, dtype=torch.complex128, requires_grad=True),)
    found = []
    for engine in ("scan", "loop"):
        outputs, (end,) = unfold(cell, x, state, lengths=lengths, engine=engine)
        whole, (last,) = unfold(cell, x, state, engine=engine)
        loss = sum(part.abs().square().sum() for part in (outputs, end, whole, last))
        found.append((outputs, end, whole, last, *torch.autograd.grad(loss, [*cell.parameters(), *state])))
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


def test_it_starts_as_its_names_say() -> None:
    lin, inv = (S4D(2, 3, state_width=4, init=init).omega[0].tolist() for init in ("lin", "inv"))
    assert lin == pytest.approx([0, np.pi, 2 * np.pi, 3 * np.pi])
    assert inv == pytest.approx([8 / np.pi * (8 / (2 * n + 1) - 1) for n in range(4)])
    assert S4D(2, 3).nu.exp().unique().tolist() == pytest.approx([0.5])


def test_a_state_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="state_width=0 leaves no number of state"):
        S4D(1, 2, state_width=0)
