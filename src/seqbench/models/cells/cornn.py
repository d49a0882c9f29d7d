"""The coupled oscillatory RNN: damped oscillators, driven by the input and by each other."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import init_uniform, time_constants
from seqbench.models.unfold import State


class CoRNN(AffineCell):
    """Oscillators with position y and velocity z, which see each other through tanh.

        z(t) = z(t−1) + Δt (tanh(b + U x(t) + W y(t−1) + Z z(t−1)) − γ y(t−1) − ε z(t−1))      (3)
        y(t) = y(t−1) + Δt z(t)

          z(t−1) ────────────▶(+)──▶ z(t) ──(Δt)──▶(+)──▶ y(t) ──▶ output
                               ▲                    ▲
          b + U x + W y + Z z ──tanh, − γ y − ε z   y(t−1)

    The paper bounds states and their gradients, where Δt is small.

    Parameters U (H, F), W (H, H), Z (H, H), b (H). The state is y and z.

    Args:
        input_size: F.
        hidden_size: H.
        dt: Δt, the time step.
        gamma: γ, the square of an oscillator's frequency.
        epsilon: ε, its damping.

    Raises:
        ValueError: Δt outside (0, 1], γ or ε that are negative, or an oscillator that grows by itself.

    Source: Rusch & Mishra (2021), "Coupled oscillatory recurrent neural network (coRNN): an accurate and
    (gradient) stable architecture for learning long time dependencies", section 2. Of the two forms of (3) it
    is the explicit one, which the authors' code has. Defaults are near those of that code for images by
    pixels.
    """

    state_vectors = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        dt: float = 0.05,
        gamma: float = 2.7,
        epsilon: float = 4.7,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not 0 < dt <= 1:
            raise ValueError(f"dt={dt} must be a step above 0 and at most 1.")
        for name, value in (("gamma", gamma), ("epsilon", epsilon)):
            if not value >= 0:
                raise ValueError(f"{name}={value} must be 0 or more.")
        self.dt, self.gamma, self.epsilon = dt, gamma, epsilon
        if not self._kept().max() <= 1 + 1e-6:
            raise ValueError(
                f"dt={dt}, gamma={gamma}, epsilon={epsilon} make an oscillator that grows by itself; give a "
                "smaller dt."
            )
        self.init_weights()
        self.Z = nn.Parameter(torch.empty(hidden_size, hidden_size))
        init_uniform(self.Z, hidden_size)

    def _kept(self) -> Tensor:
        """Return what is kept at a step of the two modes of one oscillator without weights."""
        dt, damped = self.dt, 1 - self.dt * self.epsilon
        one = [[1 - dt * dt * self.gamma, dt * damped], [-dt * self.gamma, damped]]
        kept: Tensor = torch.linalg.eigvals(torch.tensor(one, dtype=torch.float64, device="cpu")).abs()
        return kept

    def time_scales(self) -> str | None:
        return time_constants(self._kept().clamp(max=1))

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        y, z = state
        force = torch.tanh(torch.addmm(torch.addmm(projected, y, self.W.t()), z, self.Z.t()))
        z = z + self.dt * (force.to(z.dtype) - self.gamma * y - self.epsilon * z)
        y = y + self.dt * z
        return y, (y, z)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"W": self.W, "Z": self.Z}
