"""S5: one diagonal state-space model with many inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.cells.state_space import TIME_STEP, draw_log_steps, zero_order_hold
from seqbench.models.init import time_constants
from seqbench.models.scan import LinearCell
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import State
from seqbench.models.unfold.tokens import affine

#: The most complex numbers of state. The eigenvectors that B and C start with are found in a matrix of (2N)²
#: numbers, in a time that grows with N³.
MOST_STATES = 2048


class S5(LinearCell):
    """A continuous linear system with a diagonal complex matrix Λ, sampled with a step size for each state.

        s′(t) = Λ s(t) + B x(t)                          the system, N complex states        (1)
        Λ̄ = exp(ΛΔ),   B̄ = Λ⁻¹ (Λ̄ − 1) B                zero-order hold                     (6)
        s(t) = Λ̄ ⊙ s(t−1) + B̄ x(t)                                                          (2)
        y(t) = Re(C s(t)) + D x(t)
        h(t) = v ⊙ σ(G v),  v = gelu(y(t))               the output

          s(t−1) ──▶(⊙ Λ̄)──▶(+)──▶ s(t) ──Re C──▶(+)──gelu, gate──▶ h(t)
                             ▲                    ▲
          x(t) ──────B̄───────┘─────────D──────────┘

    Λ = −exp(ν) + iω, so that no state explodes. It starts at the eigenvalues of the normal part of the
    HiPPO-LegS matrix of size 2N, of which one of each conjugate pair is kept: −½ + iω. B and C start as real
    matrices in that eigenbasis.

    Parameters ν, ω, log Δ (N); B (2, N, F) and C (2, H, N) as real and imaginary parts; D (H, F); G (H, H).

    Args:
        input_size: F.
        hidden_size: H.
        state_width: N, complex numbers of state; None for H.
        time_step: the smallest and the largest Δ at the start. A state keeps its value for 2/Δ steps.

    Raises:
        ValueError: a state without a number or with too many, or step sizes that are none.

    Source: Smith, Warrington & Linderman (2023), "Simplified state space layers for sequence modeling",
    sections 2 and 3, and appendix B. D is a matrix here, as inputs need not be as many as outputs. The
    authors' code reads 2 Re(C s), for both of each pair: what C reads starts here at half of that.
    """

    vectorizable = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_width: int | None = None,
        time_step: Sequence[float] = TIME_STEP,
    ) -> None:
        super().__init__(input_size, hidden_size)
        n = hidden_size if state_width is None else state_width
        if state_width is None and hidden_size > MOST_STATES:
            raise ValueError(
                f"hidden_size={hidden_size} makes as many numbers of state where state_width=null; give "
                f"state_width, at most {MOST_STATES}."
            )
        at_least_one(MOST_STATES, state_width=(n, "number of state"))
        frequencies, basis = hippo_basis(n)
        self.nu = nn.Parameter(torch.full((n,), math.log(0.5)))
        self.omega = nn.Parameter(frequencies)
        self.log_step = nn.Parameter(draw_log_steps(n, time_step))
        B = basis.mH @ (torch.randn(2 * n, input_size) / math.sqrt(input_size)).to(basis.dtype)
        C = (torch.randn(hidden_size, 2 * n) / math.sqrt(2 * n)).to(basis.dtype) @ basis
        self.B = nn.Parameter(torch.stack([B.real, B.imag]))
        self.C = nn.Parameter(torch.stack([C.real, C.imag]))
        self.D = nn.Parameter(torch.randn(hidden_size, input_size) / math.sqrt(input_size))
        self.G = nn.Parameter(torch.randn(hidden_size, hidden_size) / math.sqrt(hidden_size))

    def discrete(self) -> tuple[Tensor, Tensor]:
        """Λ̄ (N) and the factor of B in B̄ (N), complex."""
        return zero_order_hold(torch.complex(-torch.exp(self.nu), self.omega), torch.exp(self.log_step))

    def time_scales(self) -> str | None:
        return time_constants(self.discrete()[0].abs())

    reads_tokens = True

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps G"]:
        driven = self.discrete()[1][:, None] * torch.complex(*self.B)
        return affine(x, torch.cat([driven.real, driven.imag, self.D]))

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        n = len(self.nu)
        # Under autocast the projection has half precision, of which there are no complex numbers.
        real, imaginary = torch.split(projected[..., : 2 * n].to(self.nu.dtype), n, dim=-1)
        driven = torch.complex(real, imaginary)
        return self.discrete()[0].expand_as(driven), driven

    def read(self, projected: Tensor, h: Tensor) -> Tensor:
        direct = projected[..., 2 * len(self.nu) :]
        y = nn.functional.linear(h.real, self.C[0]) - nn.functional.linear(h.imag, self.C[1]) + direct
        v = nn.functional.gelu(y)
        return v * torch.sigmoid(nn.functional.linear(v, self.G))

    def initial_state(self, batch_size: int) -> State:
        zeros = self.nu.new_zeros(batch_size, len(self.nu))
        return (torch.complex(zeros, zeros),)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"Λ̄": torch.diag(self.discrete()[0])}


def hippo_basis(n: int) -> tuple[Float[Tensor, " N"], Tensor]:
    """Return the frequencies ω (N) above 0 of the normal part of HiPPO-LegS, 2N × 2N, and its eigenvectors.

    The matrix −½ − S, S skew-symmetric with entries ½ √((2i+1)(2j+1)) below the diagonal, is normal: its
    eigenvalues −½ ± iω come in pairs.
    """
    like = torch.empty(0)  # of the type and on the device that new parameters have
    dtype = torch.complex(like, like).dtype
    if like.is_meta:  # where sizes are asked for
        return like.new_empty(n), like.new_empty(2 * n, n, dtype=dtype)
    root = torch.sqrt(2 * torch.arange(2 * n, dtype=torch.float64, device="cpu") + 1)
    below = torch.tril(0.5 * root[:, None] * root, diagonal=-1)
    frequencies, vectors = torch.linalg.eigh(-1j * (below.mT - below))
    return frequencies[n:].to(like), vectors[:, n:].to(device=like.device, dtype=dtype)
