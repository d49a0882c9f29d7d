"""S4D: a diagonal state-space model for each unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.state_space import TIME_STEP, draw_log_steps, zero_order_hold
from seqbench.models.init import time_constants
from seqbench.models.scan import LinearCell
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import State


class S4D(LinearCell):
    """For each of H units a linear system of N complex states with one input and one output.

        s′(t) = Λ s(t) + u(t)                         for each unit, Λ diagonal
        s(t) = exp(ΛΔ) ⊙ s(t−1) + Λ⁻¹ (exp(ΛΔ) − 1) u(t)         zero-order hold
        y(t) = 2 Re(C s(t)) + D u(t)
        h(t) = (b₁ + W₁ v) ⊙ σ(b₂ + W₂ v),  v = gelu(y(t))       units are mixed here alone

          x(t) ──E──▶ u(t) ──▶ N states of each unit ──2 Re C──▶(+)──gelu, gated map──▶ h(t)
                       └───────────────────D─────────────────────┘

    N complex states stand for N conjugate pairs. Λ = −exp(ν) + iω starts for each unit at

        S4D-Lin   −½ + iπn                             lin
        S4D-Inv   −½ + i (2N/π) (2N/(2n+1) − 1)        inv,      n = 0, …, N − 1

    Parameters ν, ω (H, N), C (2, H, N) as real and imaginary parts, log Δ, D (H), W (2H, H), b (2H), which
    stack W₁, W₂; and E (H, F) where inputs are not as many as units.

    Args:
        input_size: F.
        hidden_size: H.
        state_width: N, complex numbers of state for each unit.
        init: lin or inv.
        time_step: the smallest and the largest Δ at the start. A state keeps its value for 2/Δ steps.

    Raises:
        ValueError: a state without a number, or step sizes that are none.

    Source: Gu, Gupta, Goel & Ré (2022), "On the parameterization and initialization of diagonal state space
    models", section 3 and the initialisations S4D-Lin and S4D-Inv of section 4.
    """

    vectorizable = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_width: int = 32,
        init: Literal["lin", "inv"] = "lin",
        time_step: Sequence[float] = TIME_STEP,
    ) -> None:
        super().__init__(input_size, hidden_size)
        at_least_one(state_width=(state_width, "number of state"))
        n = torch.arange(state_width)
        omega = math.pi * n
        if init == "inv":
            omega = 2 * state_width / math.pi * (2 * state_width / (2 * n + 1) - 1)
        self.nu = nn.Parameter(torch.full((hidden_size, state_width), math.log(0.5)))
        self.omega = nn.Parameter(omega.repeat(hidden_size, 1))
        self.log_step = nn.Parameter(draw_log_steps(hidden_size, time_step))
        self.C = nn.Parameter(torch.randn(2, hidden_size, state_width) * math.sqrt(0.5))
        self.D = nn.Parameter(torch.randn(hidden_size))
        self.mix = nn.Linear(hidden_size, 2 * hidden_size)
        self.E = None
        if input_size != hidden_size:
            self.E = nn.Parameter(torch.randn(hidden_size, input_size) / math.sqrt(input_size))

    def discrete(self) -> tuple[Tensor, Tensor]:
        """exp(ΛΔ) and Λ⁻¹ (exp(ΛΔ) − 1), both (H, N), complex."""
        eigenvalues = torch.complex(-torch.exp(self.nu), self.omega)
        return zero_order_hold(eigenvalues, torch.exp(self.log_step)[:, None])

    def time_scales(self) -> str | None:
        return time_constants(self.discrete()[0].abs())

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps H"]:
        return x if self.E is None else nn.functional.linear(x, self.E)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        kept, taken = self.discrete()
        driven = (projected[..., None] * taken).flatten(-2)
        return kept.flatten().expand_as(driven), driven

    def read(self, projected: Tensor, h: Tensor) -> Tensor:
        s = torch.unflatten(h, -1, self.nu.shape)
        y = 2 * (s.real * self.C[0] - s.imag * self.C[1]).sum(-1) + self.D * projected
        return nn.functional.glu(self.mix(nn.functional.gelu(y)), dim=-1)

    def initial_state(self, batch_size: int) -> State:
        zeros = self.nu.new_zeros(batch_size, self.nu.numel())
        return (torch.complex(zeros, zeros),)
