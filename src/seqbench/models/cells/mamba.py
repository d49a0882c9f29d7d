"""Mamba: a state-space model whose step size, input and output depend on the input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqbench.models.cells.matrix_state import Given, MatrixCell, draw
from seqbench.models.cells.short_convolution import short_convolution
from seqbench.models.cells.state_space import TIME_STEP, draw_log_steps, inverse_softplus
from seqbench.models.init import time_constants
from seqbench.models.scan import linear_scan
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import State


class Mamba(MatrixCell):
    """A selective state-space model (S6) for each of E channels, behind a short convolution, with a gate.

        u(t), z(t) = U x(t)                             E numbers each
        v(t) = silu(conv(u)(t))
        Δ(t) = softplus(bᐃ + Wᐃ (Xᐃ v(t)))              through a bottleneck of R numbers
        B(t) = Xᴮ v(t),   C(t) = Xꟲ v(t)                N numbers each
        S(t) = exp(Δ(t) ⊗ A) ⊙ S(t−1) + (Δ(t) ⊙ v(t)) ⊗ B(t)        (2), with the discretisation of (4)
        y(t) = S(t) C(t) + D ⊙ v(t)
        h(t) = W (y(t) ⊙ silu(z(t)))

    A = −exp(a) is diagonal and starts at −1, …, −N for every channel.

    Parameters U (2E, F), the convolution's w (K, E) and b (E), X (R + 2N, E), which stacks Δ, B, C;
    Wᐃ (E, R), bᐃ (E), a (E, N), D (E), W (H, E). The state is the last K − 1 values of u, and S (E, N).

    Args:
        input_size: F.
        hidden_size: H. The bottleneck has R = ⌈H/16⌉ numbers.
        expansion: E = expansion · H.
        state_width: N, numbers of state for each channel.
        conv_width: K, steps of the convolution; None for none.
        time_step: the smallest and the largest Δ at the start. The slowest state is kept for 1/Δ steps.

    Raises:
        ValueError: a size below 1, or step sizes that are none.

    Source: Gu & Dao (2023), "Mamba: linear-time sequence modeling with selective state spaces", algorithm 2,
    section 3.4 and appendix C. In place of the zero-order hold of B there is Δ B, as in the authors' code.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        expansion: int = 2,
        state_width: int = 16,
        conv_width: int | None = 4,
        time_step: Sequence[float] = TIME_STEP,
    ) -> None:
        at_least_one(expansion=(expansion, "channel"), state_width=(state_width, "number of state"))
        inner, rank = expansion * hidden_size, math.ceil(hidden_size / 16)
        super().__init__(
            input_size,
            hidden_size,
            parts=[inner, inner],
            inner_size=inner,
            convolution=short_convolution(inner, conv_width, bias=True),
        )
        self.X = nn.Parameter(draw(rank + 2 * state_width, inner))
        self.W_step = nn.Parameter(draw(inner, rank))
        self.b_step = nn.Parameter(inverse_softplus(draw_log_steps(inner, time_step).exp()))
        self.a = nn.Parameter(torch.arange(1.0, state_width + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))

    def time_scales(self) -> str | None:
        step = nn.functional.softplus(self.b_step)[:, None]
        return time_constants(torch.exp(-step * torch.exp(self.a)))

    def enter(self, parts: Sequence[Tensor]) -> Given:
        v = nn.functional.silu(parts[0])
        rank, n = self.W_step.shape[1], self.a.shape[1]
        step, B, C = torch.split(nn.functional.linear(v, self.X), [rank, n, n], dim=-1)
        step = nn.functional.softplus(nn.functional.linear(step, self.W_step, self.b_step))
        return {"v": v, "step": step, "B": B, "C": C}

    def _coefficients(self, given: Given) -> tuple[Tensor, Tensor]:
        kept = torch.exp(given["step"][..., None] * -torch.exp(self.a))
        return kept, (given["step"] * given["v"])[..., None] * given["B"][..., None, :]

    def recur(self, given: Given, memory: State) -> tuple[Tensor, State]:
        kept, driven = self._coefficients(given)
        S = kept * memory[0] + driven
        return (S * given["C"][..., None, :]).sum(-1), (S,)

    def recur_all(self, given: Given, memory: State, chunk: int) -> tuple[Tensor, State]:
        S = linear_scan(*self._coefficients(given), memory[0])
        return (S * given["C"][..., None, :]).sum(-1), (S[-1],)

    def leave(self, parts: Sequence[Tensor], given: Given, output: Tensor) -> Tensor:
        return (output + self.D * given["v"]) * nn.functional.silu(parts[1])

    def initial_memory(self, batch_size: int) -> State:
        return (self.a.new_zeros(batch_size, *self.a.shape),)
