"""The linear recurrent unit: complex eigenvalues in place of a recurrent matrix."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.init import time_constants
from seqbench.models.scan import LinearCell
from seqbench.models.unfold import State
from seqbench.models.unfold.tokens import affine


class LRU(LinearCell):
    """A linear recurrence with a diagonal complex matrix Λ, and the nonlinearity outside it.

        λ = exp(−exp(ν) + i exp(θ)),   γ starts at √(1 − |λ|²)
        s(t) = λ ⊙ s(t−1) + γ ⊙ (B x(t))                 the state, N complex numbers
        y(t) = Re(C s(t)) + D x(t)
        h(t) = v ⊙ σ(G v),  v = gelu(y(t))               the output

          s(t−1) ───▶(⊙ λ)───▶(+)──▶ s(t) ──Re C──▶(+)──gelu, gate──▶ h(t)
                               ▲                    ▲
          x(t) ──B──▶(⊙ γ)─────┘──────────D─────────┘

    |λ| < 1 for every ν, so that no state explodes. Eigenvalues start uniformly on the ring between two radii,
    with angles below `max_phase`. A unit with |λ| near 1 is the chapter's leaky unit with α near 1.

    Parameters ν, θ, log γ (N); B (2, N, F) and C (2, H, N) as real and imaginary parts; D (H, F); G (H, H).

    Args:
        input_size: F.
        hidden_size: H outputs, and N = H complex numbers of state.
        min_radius: smallest |λ| at the start.
        max_radius: largest |λ| at the start.
        max_phase: largest angle of λ at the start.

    Raises:
        ValueError: radii that are not 0 ≤ min < max ≤ 1, or no angle above 0.

    Source: Orvieto et al. (2023), "Resurrecting recurrent neural networks for long sequences", section 3, up
    to y. The paper puts that into a block, of which h is a part only. After Zucchet's reimplementation the
    block is

        x + (W₁ v + b₁) ⊙ σ(W₂ v + b₂)

    with layer or batch normalisation before or after it, dropout, and a vector D, its inputs being as wide
    as its outputs. Here W₁ = 1, W₂ = G, there are no biases, no x and no normalisation, and D is a matrix.
    """

    vectorizable = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        min_radius: float = 0.9,
        max_radius: float = 0.999,
        max_phase: float = 2 * math.pi,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not 0 <= min_radius < max_radius <= 1:
            raise ValueError(f"min_radius={min_radius}, max_radius={max_radius} must be 0 ≤ min < max ≤ 1.")
        if not max_phase > 0:
            raise ValueError(f"max_phase={max_phase} leaves no angle for an eigenvalue; give one above 0.")
        squared = min_radius**2 + torch.rand(hidden_size) * (max_radius**2 - min_radius**2)
        phase = max_phase * torch.rand(hidden_size)
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(squared)))
        self.theta = nn.Parameter(torch.log(phase))
        self.log_gamma = nn.Parameter(0.5 * torch.log1p(-squared))
        self.B = nn.Parameter(torch.randn(2, hidden_size, input_size) / math.sqrt(2 * input_size))
        self.C = nn.Parameter(torch.randn(2, hidden_size, hidden_size) / math.sqrt(hidden_size))
        self.D = nn.Parameter(torch.randn(hidden_size, input_size) / math.sqrt(input_size))
        self.G = nn.Parameter(torch.randn(hidden_size, hidden_size) / math.sqrt(hidden_size))

    @property
    def eigenvalues(self) -> Tensor:
        """λ (N), complex."""
        return torch.polar(torch.exp(-torch.exp(self.nu)), torch.exp(self.theta))

    def time_scales(self) -> str | None:
        return time_constants(self.eigenvalues.abs())

    reads_tokens = True

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps G"]:
        gamma = torch.exp(self.log_gamma)[:, None]
        weights = torch.cat([gamma * self.B[0], gamma * self.B[1], self.D])
        return affine(x, weights)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        # Under autocast the projection has half precision, of which there are no complex numbers.
        real, imaginary, _ = projected.to(self.nu.dtype).chunk(3, dim=-1)
        driven = torch.complex(real, imaginary)
        return self.eigenvalues.expand_as(driven), driven

    def read(self, projected: Tensor, h: Tensor) -> Tensor:
        direct = projected.chunk(3, dim=-1)[2]
        y = nn.functional.linear(h.real, self.C[0]) - nn.functional.linear(h.imag, self.C[1]) + direct
        v = nn.functional.gelu(y)
        return v * torch.sigmoid(nn.functional.linear(v, self.G))

    def initial_state(self, batch_size: int) -> State:
        zeros = self.nu.new_zeros(batch_size, self.hidden_size)
        return (torch.complex(zeros, zeros),)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"λ": torch.diag(self.eigenvalues)}
