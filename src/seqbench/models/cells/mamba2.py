"""Mamba-2: a selective state-space model with one decay for each head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqbench.models.cells.matrix_state import Given, MatrixCell, check_heads, rms_norm
from seqbench.models.cells.short_convolution import short_convolution
from seqbench.models.cells.state_space import TIME_STEP, draw_log_steps, inverse_softplus
from seqbench.models.chunk import decayed
from seqbench.models.init import time_constants
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import State


class Mamba2(MatrixCell):
    """A state-space model whose matrix is a multiple of the identity (SSD), in A heads of P = E/A channels.

        u, B′, C′, z, δ = U x(t)                        E, N, N, E, A numbers
        v, B, C = silu(conv(u, B′, C′)(t))
        Δ(t) = softplus(δ(t) + bᐃ),   α(t) = exp(−exp(a) Δ(t))       for each head
        S(t) = α(t) S(t−1) + B(t) (Δ(t) v(t))ᵀ          for each head, (N, P)
        y(t) = S(t)ᵀ C(t) + D v(t)                      for each head
        h(t) = W (g ⊙ norm(y(t) ⊙ silu(z(t))))          root mean square over all E

    Parameters U (2E + 2N + A, F), the convolution's w (K, E + 2N) and b; a, bᐃ, D (A), g (E), W (H, E). All
    heads share B and C. The state is the last K − 1 values of u, B′, C′, and S (A, N, P).

    Args:
        input_size: F.
        hidden_size: H.
        heads: A, a divisor of E.
        expansion: E = expansion · H.
        state_width: N.
        conv_width: K, steps of the convolution; None for none.
        chunk_size: steps that are taken at once; None for at most 64, in even chunks.
        time_step: the smallest and the largest Δ at the start. Head i of A keeps its state for 1/(iΔ) steps.

    Raises:
        ValueError: a size below 1, heads that do not divide E, or step sizes that are none; or, from
            `check_length`, a chunk that is longer than the sequence.

    Source: Dao & Gu (2024), "Transformers are SSMs: generalized models and efficient algorithms through
    structured state space duality", sections 6 and 7.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 2,
        expansion: int = 2,
        state_width: int = 64,
        conv_width: int | None = 4,
        chunk_size: int | None = None,
        time_step: Sequence[float] = TIME_STEP,
    ) -> None:
        at_least_one(expansion=(expansion, "channel"), state_width=(state_width, "number of state"))
        inner = expansion * hidden_size
        check_heads(heads, **{"expansion times hidden_size": inner})
        super().__init__(
            input_size,
            hidden_size,
            parts=[inner + 2 * state_width, inner, heads],
            inner_size=inner,
            chunk_size=chunk_size,
            convolution=short_convolution(inner + 2 * state_width, conv_width, bias=True),
        )
        self.sizes = inner, state_width, heads
        self.a = nn.Parameter(torch.arange(1.0, heads + 1).log())
        self.b_step = nn.Parameter(inverse_softplus(draw_log_steps(heads, time_step).exp()))
        self.D = nn.Parameter(torch.ones(heads))
        self.g = nn.Parameter(torch.ones(inner))

    def time_scales(self) -> str | None:
        return time_constants(torch.exp(-torch.exp(self.a) * nn.functional.softplus(self.b_step)))

    def enter(self, parts: Sequence[Tensor]) -> Given:
        (inner, n, heads), (convolved, _, step) = self.sizes, parts
        v, B, C = torch.split(nn.functional.silu(convolved), [inner, n, n], dim=-1)
        step = nn.functional.softplus(step + self.b_step)[..., None]
        v = torch.unflatten(v, -1, (heads, -1))
        return {"v": v, "step": step, "B": B, "C": C}

    def _recurrence(self, given: Given) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """q and k, one for all heads, and v and log α of each."""
        step, q, k = given["step"], given["C"][..., None, :], given["B"][..., None, :]
        return q, k, step * given["v"], -torch.exp(self.a)[:, None] * step

    def recur(self, given: Given, memory: State) -> tuple[Tensor, State]:
        q, k, v, log_a = self._recurrence(given)
        S = torch.exp(log_a)[..., None] * memory[0] + k[..., None] * v[..., None, :]
        return (q[..., None] * S).sum(-2), (S,)

    def recur_all(self, given: Given, memory: State, chunk: int) -> tuple[Tensor, State]:
        outputs, S = decayed(*self._recurrence(given), memory[0], chunk)
        return outputs, (S,)

    def leave(self, parts: Sequence[Tensor], given: Given, output: Tensor) -> Tensor:
        y = (output + self.D[:, None] * given["v"]).flatten(-2)
        return self.g * rms_norm(y * nn.functional.silu(parts[1]))

    def initial_memory(self, batch_size: int) -> State:
        inner, n, heads = self.sizes
        return (self.a.new_zeros(batch_size, heads, n, inner // heads),)
