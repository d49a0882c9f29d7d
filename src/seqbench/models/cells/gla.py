"""Gated linear attention: a matrix as state, each row of which decays at a rate that the input sets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqbench.models.cells.matrix_state import Given, MatrixCell, check_heads, check_norm, draw, rms_norm
from seqbench.models.chunk import decayed
from seqbench.models.init import time_constants
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import State

#: Below, the logarithms of gates come near to what single precision can hold.
LEAST_TAU = 1e-6


class GLA(MatrixCell):
    """Linear attention with a forget gate for each row of its state, in A heads.

        q, k, v, r, c = U x(t)                          Q, Q, H, H, R numbers
        log α(t) = log σ(bᵅ + Wᵅ c(t)) / τ              Q numbers, through a bottleneck of R
        S(t) = diag(α(t)) S(t−1) + k(t) v(t)ᵀ           for each head, (Q/A, H/A)            (3)
        o(t) = S(t)ᵀ q(t) / √(Q/A)                      for each head
        h(t) = W (silu(r(t)) ⊙ g ⊙ norm(o(t)))          root mean square over each head

    Parameters U (2Q + 2H + R, F), Wᵅ (Q, R), bᵅ (Q), g (H/A), W (H, H). The state is S.

    Args:
        input_size: F.
        hidden_size: H.
        heads: A, a divisor of H and of Q.
        key_size: Q; None for ⌈H/2⌉.
        gate_rank: R.
        tau: τ. A row at first keeps its value for about 1.4 τ steps.
        chunk_size: steps that are taken at once; None for at most 16, in even chunks.

    Raises:
        ValueError: a size below 1, heads that do not divide a width, or a τ below `LEAST_TAU`; or, from
            `check_length`, a chunk that is longer than the sequence.

    Source: Yang, Wang, Shen, Panda & Kim (2024), "Gated linear attention transformers with hardware-efficient
    training", section 4.
    """

    norms_heads = True
    usual_chunk = 16  # with a decay for each row, a chunk takes C² numbers for each of them

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 1,
        key_size: int | None = None,
        gate_rank: int = 16,
        tau: float = 16.0,
        chunk_size: int | None = None,
    ) -> None:
        keys = -(-hidden_size // 2) if key_size is None else key_size
        at_least_one(key_size=(keys, "number of a key"), gate_rank=(gate_rank, "number of the bottleneck"))
        check_heads(heads, hidden_size=hidden_size, key_size=keys)
        check_norm(heads, hidden_size)
        if not tau >= LEAST_TAU:
            raise ValueError(
                f"tau={tau} divides the logarithm of a gate, in single precision; give at least {LEAST_TAU}."
            )
        super().__init__(
            input_size,
            hidden_size,
            parts=[keys, keys, hidden_size, hidden_size, gate_rank],
            inner_size=hidden_size,
            chunk_size=chunk_size,
        )
        self.keys = keys
        self.heads = heads
        self.tau = tau
        self.W_gate = nn.Parameter(draw(keys, gate_rank))
        self.b_gate = nn.Parameter(torch.zeros(keys))
        self.g = nn.Parameter(torch.ones(hidden_size // heads))

    def time_scales(self) -> str | None:
        return time_constants(torch.sigmoid(self.b_gate) ** (1 / self.tau))

    def enter(self, parts: Sequence[Tensor]) -> Given:
        q, k, v, _, c = parts
        gate = nn.functional.linear(c, self.W_gate, self.b_gate)
        # Under autocast the gate has half precision, in which a decay near 1 is 1.
        log_a = nn.functional.logsigmoid(gate.to(self.b_gate.dtype)) / self.tau
        given = {"q": q * (self.keys // self.heads) ** -0.5, "k": k, "v": v, "log_a": log_a}
        return {name: torch.unflatten(part, -1, (self.heads, -1)) for name, part in given.items()}

    def recur(self, given: Given, memory: State) -> tuple[Tensor, State]:
        S = torch.exp(given["log_a"])[..., None] * memory[0]
        S = S + given["k"][..., None] * given["v"][..., None, :]
        return (given["q"][..., None] * S).sum(-2), (S,)

    def recur_all(self, given: Given, memory: State, chunk: int) -> tuple[Tensor, State]:
        q, k, v, log_a = (given[name] for name in ("q", "k", "v", "log_a"))
        outputs, S = decayed(q, k, v, log_a, memory[0], chunk)
        return outputs, (S,)

    def leave(self, parts: Sequence[Tensor], given: Given, output: Tensor) -> Tensor:
        return nn.functional.silu(parts[3]) * (self.g * rms_norm(output)).flatten(-2)

    def initial_memory(self, batch_size: int) -> State:
        keys, hidden = self.keys // self.heads, self.hidden_size // self.heads
        return (self.g.new_zeros(batch_size, self.heads, keys, hidden),)
