"""Long expressive memory: two states, each with time steps that are learnt."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import time_constants
from seqbench.models.unfold import State


class LEM(AffineCell):
    """Two coupled states, each of which moves by a gated time step towards what drives it.

        τ¹(t) = Δt σ(b¹ + U¹ x(t) + W¹ y(t−1))                                           (3)
        τ²(t) = Δt σ(b² + U² x(t) + W² y(t−1))
        z(t)  = (1 − τ¹(t)) ⊙ z(t−1) + τ¹(t) ⊙ tanh(bᶻ + Uᶻ x(t) + Wᶻ y(t−1))
        y(t)  = (1 − τ²(t)) ⊙ y(t−1) + τ²(t) ⊙ tanh(bʸ + Uʸ x(t) + Wʸ z(t))

          y(t−1) ──Wᶻ──▶(+)──tanh──(⊙ τ¹)──▶(+)──▶ z(t) ──Wʸ──▶(+)──tanh──(⊙ τ²)──▶(+)──▶ y(t) ──▶ output
                         ▲                   ▲                  ▲                   ▲
                      Uᶻ x(t)     (1 − τ¹) ⊙ z(t−1)          Uʸ x(t)     (1 − τ²) ⊙ y(t−1)

    With Δt = 1 it is much like an LSTM whose gates are coupled.

    Parameters U (4H, F), W (4H, H), b (4H) stack 1, 2, z, y. The state is y and z.

    Args:
        input_size: F.
        hidden_size: H.
        dt: Δt, the largest time step. Below 1 the states are kept longer.

    Raises:
        ValueError: Δt outside (0, 1].

    Source: Rusch, Mishra, Erichson & Mahoney (2022), "Long expressive memory for sequence modeling",
    section 2. Its time steps Δt are τ¹ and τ² here.
    """

    state_vectors = 2

    def __init__(self, input_size: int, hidden_size: int, dt: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, ("1", "2", "z", "y"))
        if not 0 < dt <= 1:
            raise ValueError(f"dt={dt} must be a step above 0 and at most 1.")
        self.dt = dt
        self.init_weights()

    def time_scales(self) -> str | None:
        gates = torch.cat([self.bias("1"), self.bias("2")])
        return time_constants(1 - self.dt * torch.sigmoid(gates))

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        y, z = state
        seen, driven = torch.split(projected, [3 * self.hidden_size, self.hidden_size], dim=-1)
        W, W_y = torch.split(self.W, [3 * self.hidden_size, self.hidden_size])
        one, two, candidate = torch.addmm(seen, y, W.t()).chunk(3, dim=-1)
        z = torch.lerp(z, torch.tanh(candidate).to(z.dtype), self.dt * torch.sigmoid(one).to(z.dtype))
        driven = torch.tanh(torch.addmm(driven, z.to(driven.dtype), W_y.t()))
        y = torch.lerp(y, driven.to(y.dtype), self.dt * torch.sigmoid(two).to(y.dtype))
        return y, (y, z)
