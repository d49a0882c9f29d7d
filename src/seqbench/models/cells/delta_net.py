"""DeltaNet, plain and gated: a matrix as state that is corrected, and not only added to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from seqbench.models.cells.matrix_state import (
    Given,
    MatrixCell,
    check_heads,
    check_norm,
    rms_norm,
    unit_norm,
)
from seqbench.models.cells.short_convolution import short_convolution
from seqbench.models.cells.state_space import TIME_STEP, draw_log_steps, inverse_softplus
from seqbench.models.chunk import delta
from seqbench.models.init import time_constants
from seqbench.models.unfold import State


class DeltaNet(MatrixCell):
    """Linear attention whose state is corrected by the delta rule, in A heads of H/A numbers.

        q′, k′, v′ = U x(t);   q″, k″, v = silu(conv(q′, k′, v′)(t))         H numbers each
        q = q″/‖q″‖ /√(H/A),   k = k″/‖k″‖              for each head
        β(t) = σ(Uᵝ x(t))                               for each head
        S(t) = S(t−1) + β(t) k(t) (v(t) − S(t−1)ᵀ k(t))ᵀ
        o(t) = S(t)ᵀ q(t)
        h(t) = W (g ⊙ norm(o(t)))                       root mean square over each head

    What S held under the key k is replaced by v to the share β. Nothing else is forgotten.

    Parameters U (3H + A, F), which ends with Uᵝ; the convolution's w (K, 3H); g (H/A), W (H, H). The state is
    the last K − 1 values of q′, k′, v′, and S (A, H/A, H/A).

    Args:
        input_size: F.
        hidden_size: H.
        heads: A, a divisor of H.
        conv_width: K, steps of the convolution; None for none.
        chunk_size: steps that are taken at once; None for at most 64, in even chunks.

    Raises:
        ValueError: a size below 1, or heads that do not divide H; or, from `check_length`, a chunk that is
            longer than the sequence.

    Source: Yang, Wang, Zhang, Shen & Kim (2024), "Parallelizing linear transformers with the delta rule over
    sequence length", sections 2.2, 3.2 and 3.4.
    """

    norms_heads = True
    #: Whether there are a forget gate and a gate on the output, which have parts of their own.
    gated: ClassVar[bool] = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 1,
        conv_width: int | None = 4,
        chunk_size: int | None = None,
    ) -> None:
        check_heads(heads, hidden_size=hidden_size)
        check_norm(heads, hidden_size)
        super().__init__(
            input_size,
            hidden_size,
            parts=[3 * hidden_size, *([hidden_size, heads] if self.gated else []), heads],
            inner_size=hidden_size,
            chunk_size=chunk_size,
            convolution=short_convolution(3 * hidden_size, conv_width, bias=False),
        )
        self.heads = heads
        self.g = nn.Parameter(torch.ones(hidden_size // heads))

    def time_scales(self) -> str | None:
        return "a state that is replaced key by key, and not forgotten"

    def enter(self, parts: Sequence[Tensor]) -> Given:
        q, k, v = torch.unflatten(nn.functional.silu(parts[0]), -1, (3, self.heads, -1)).unbind(-3)
        beta = torch.sigmoid(parts[-1])[..., None]
        q, k = unit_norm(q) * (self.hidden_size // self.heads) ** -0.5, unit_norm(k)
        return {"q": q, "k": k, "v": v, "beta": beta, "log_a": torch.zeros_like(beta)}

    def recur(self, given: Given, memory: State) -> tuple[Tensor, State]:
        q, k, v, beta, log_a = (given[name][..., None] for name in ("q", "k", "v", "beta", "log_a"))
        S = torch.exp(log_a) * memory[0]
        S = S + beta * k * (v - S.mT @ k).mT
        return (S.mT @ q)[..., 0], (S,)

    def recur_all(self, given: Given, memory: State, chunk: int) -> tuple[Tensor, State]:
        q, k, v, beta, log_a = (given[name] for name in ("q", "k", "v", "beta", "log_a"))
        outputs, S = delta(q, k, v, beta, log_a, memory[0], chunk)
        return outputs, (S,)

    def leave(self, parts: Sequence[Tensor], given: Given, output: Tensor) -> Tensor:
        return (self.g * rms_norm(output)).flatten(-2)

    def initial_memory(self, batch_size: int) -> State:
        size = self.hidden_size // self.heads
        return (self.g.new_zeros(batch_size, self.heads, size, size),)


class GatedDeltaNet(DeltaNet):
    """DeltaNet with a forget gate for each head, and a gate on its output.

        Δ(t) = softplus(bᐃ + Uᐃ x(t)),   α(t) = exp(−exp(a) Δ(t))            for each head
        S(t) = α(t) S(t−1) + β(t) k(t) (v(t) − α(t) S(t−1)ᵀ k(t))ᵀ           (10)
        h(t) = W (silu(z(t)) ⊙ g ⊙ norm(o(t))),  z(t) = Uᶻ x(t)

    The rest is that of `DeltaNet`. Parameters U (4H + 2A, F), which ends with Uᶻ, Uᐃ, Uᵝ; the convolution's
    w (K, 3H); a, bᐃ (A), g (H/A), W (H, H).

    Args:
        input_size: F.
        hidden_size: H.
        heads: A, a divisor of H.
        conv_width: K, steps of the convolution; None for none.
        chunk_size: steps that are taken at once; None for at most 64, in even chunks.
        time_step: the smallest and the largest Δ at the start. Head i of A keeps its state for 1/(iΔ) steps.

    Raises:
        ValueError: as for `DeltaNet`, or step sizes that are none.

    Source: Yang, Kautz & Hatamizadeh (2025), "Gated delta networks: improving Mamba2 with delta rule",
    sections 3.1 and 3.4.
    """

    gated = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 1,
        conv_width: int | None = 4,
        chunk_size: int | None = None,
        time_step: Sequence[float] = TIME_STEP,
    ) -> None:
        super().__init__(input_size, hidden_size, heads, conv_width, chunk_size)
        self.a = nn.Parameter(torch.arange(1.0, heads + 1).log())
        self.b_step = nn.Parameter(inverse_softplus(draw_log_steps(heads, time_step).exp()))

    def time_scales(self) -> str | None:
        return time_constants(torch.exp(-torch.exp(self.a) * nn.functional.softplus(self.b_step)))

    def enter(self, parts: Sequence[Tensor]) -> Given:
        given, step = super().enter(parts), nn.functional.softplus(parts[2] + self.b_step)
        return given | {"log_a": (-torch.exp(self.a) * step)[..., None]}

    def leave(self, parts: Sequence[Tensor], given: Given, output: Tensor) -> Tensor:
        return nn.functional.silu(parts[1]) * super().leave(parts, given, output)
