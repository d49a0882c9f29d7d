"""S4D: a diagonal state-space model for each unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from seqbench.models.cells.state_space import TIME_STEP, draw_log_steps, zero_order_hold
from seqbench.models.init import time_constants
from seqbench.models.scan import LinearCell, linear_scan
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import State

#: Steps that the scan takes at once.
CHUNK = 64


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
    #: 2: all steps at once are a convolution within chunks, and states at their ends alone.
    revisions: ClassVar = {"_target_": 2}

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
        return self._mixed(2 * (s.real * self.C[0] - s.imag * self.C[1]).sum(-1) + self.D * projected)

    def _mixed(self, y: Float[Tensor, "*steps H"]) -> Float[Tensor, "*steps H"]:
        return nn.functional.glu(self.mix(nn.functional.gelu(y)), dim=-1)

    def scan(
        self, projected: Float[Tensor, "T B H"], state: State, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        """Run all steps in chunks of C: within one y is a convolution, from one to the next goes the state.

        So there are N numbers of state for each unit and chunk, and not for each unit and step.
        """
        steps, rows, units = projected.shape
        size = min(CHUNK, steps)
        count = -(-steps // size)
        exponents = torch.complex(-torch.exp(self.nu), self.omega) * torch.exp(self.log_step)[:, None]
        later = torch.arange(size + 1, device=projected.device)
        powers = torch.exp(exponents[..., None] * later)  # (H, N, C + 1)
        C = 2 * torch.complex(*self.C)[..., None]
        written = self.discrete()[1][..., None] * powers[..., :-1]  # of an input, 0, 1, … steps later
        # The last step comes first, as that is how far back it lies.
        u = torch.unflatten(pad(projected, (0, 0, 0, 0, 0, count * size - steps)), 0, (count, size))
        u = u.flip(1).permute(3, 0, 2, 1).flatten(1, 2)  # (H, chunks · B, C)
        start = torch.unflatten(state[0], -1, self.nu.shape).transpose(0, 1)
        added = torch.unflatten(_states(u, written), 1, (count, rows)).transpose(0, 1)  # (chunks, H, B, N)
        states = linear_scan(powers[..., -1][:, None].expand_as(added), added, start)
        states = torch.cat([start[None], states])
        kernel = pad((C * written).sum(1).real, (size - 1, 0)).unfold(-1, size, 1)  # (H, C, C)
        read = C * powers[..., 1:]
        # The real part of a product is that of the real parts less that of the imaginary ones.
        before = states[:-1].transpose(0, 1).flatten(1, 2)
        y = u @ kernel.mT + torch.cat([before.real, before.imag], -1) @ torch.cat([read.real, -read.imag], 1)
        y = torch.unflatten(y, 1, (count, rows)).permute(1, 3, 2, 0).flatten(0, 1)[:steps]
        outputs = self._mixed(y + self.D * projected)
        if valid is None:
            taken = torch.full((rows,), steps, device=projected.device)
        else:
            taken, outputs = valid[..., 0].sum(0), torch.where(valid, outputs, torch.zeros_like(outputs))
        # From the last chunk that is full for a row go the steps that are left.
        left, back = taken % size, later[:-1, None]
        rest = projected.gather(0, (taken - 1 - back).clamp(min=0)[..., None].expand(-1, -1, units))
        rest = torch.where((back < left)[..., None], rest, torch.zeros_like(rest)).permute(
            2, 1, 0
        )  # (H, B, C)
        end = states[taken // size, :, torch.arange(rows, device=projected.device)]
        end = powers[..., left].permute(2, 0, 1) * end + _states(rest, written).transpose(0, 1)
        return outputs, (end.flatten(1),)

    def initial_state(self, batch_size: int) -> State:
        zeros = self.nu.new_zeros(batch_size, self.nu.numel())
        return (torch.complex(zeros, zeros),)


def _states(u: Float[Tensor, "H R C"], written: Tensor) -> Tensor:
    """Return the states (H, R, N) that inputs lead to, the last first; `written` (H, N, C) is of each."""
    # Under autocast products have half precision, of which there are no complex numbers.
    real, imaginary = (u @ part.mT for part in (written.real, written.imag))
    return torch.complex(real.to(written.real.dtype), imaginary.to(written.real.dtype))
