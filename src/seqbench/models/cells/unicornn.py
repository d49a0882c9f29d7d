"""The undamped independent controlled oscillatory RNN."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.affine import AffineCell
from seqbench.models.unfold import State


class UnICORNN(AffineCell):
    """Oscillators without damping and without each other, each with a time step that it learns.

        τ    = Δt σ(c)
        z(t) = z(t−1) − τ ⊙ (tanh(b + U x(t) + w ⊙ y(t−1)) + α y(t−1))
        y(t) = y(t−1) + τ ⊙ z(t)

          z(t−1) ───────────────▶(+)──▶ z(t) ──(⊙ τ)──▶(+)──▶ y(t) ──▶ output
                                  ▲                     ▲
          b + U x + w ⊙ y ──tanh, + α y, ⊙ −τ           y(t−1)

    It is a Hamiltonian system in steps that keep its structure (symplectic Euler), so that nothing is
    forgotten. Units of one layer do not see each other: stack two layers or more, whose outputs pass on.

    Parameters U (H, F), w (H), c (H), b (H). The state is y and z.

    Args:
        input_size: F.
        hidden_size: H.
        dt: Δt, twice the time step that units start with.
        alpha: α, a restoring force beside that of the weights.

    Raises:
        ValueError: Δt outside (0, 1], or α outside [0, 4/Δt²), where steps of an oscillator explode.

    Source: Rusch & Mishra (2021), "UnICORNN: a recurrent model for learning very long time dependencies",
    section 2; w and c start as in the authors' code.
    """

    state_vectors = 2

    def __init__(self, input_size: int, hidden_size: int, dt: float = 0.2, alpha: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, recurrent_blocks=())
        if not 0 < dt <= 1:
            raise ValueError(f"dt={dt} must be a step above 0 and at most 1.")
        if not 0 <= alpha < 4 / dt**2:
            raise ValueError(f"alpha={alpha} must be 0 or more, and below 4/dt²={4 / dt**2:.3g}.")
        self.dt, self.alpha = dt, alpha
        self.init_weights()
        self.w = nn.Parameter(torch.rand(hidden_size))
        self.c = nn.Parameter(torch.empty(hidden_size).uniform_(-0.1, 0.1))

    def time_scales(self) -> str | None:
        """Return the periods of small oscillations; a unit whose force pushes outwards has none."""
        force = (self.w + self.alpha).detach()
        turns = self.dt * torch.sigmoid(self.c.detach()) * force.clamp(min=1e-12).sqrt() / (2 * math.pi)
        if not bool((force > 0).all()):
            return None
        ends = dict.fromkeys(f"{1 / float(end):.3g}" for end in (turns.max(), turns.min()))
        return f"oscillations of {' to '.join(ends)} steps"

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        y, z = state
        tau = self.dt * torch.sigmoid(self.c)
        z = z - tau * (torch.tanh(projected + self.w * y) + self.alpha * y)
        y = y + tau * z
        return y, (y, z)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"w": torch.diag(self.w)}
