"""RWKV-7: a matrix as state, with a decay for each row and a generalised delta rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.cells.matrix_state import (
    Given,
    MatrixCell,
    check_heads,
    check_norm,
    draw,
    layer_norm,
    unit_norm,
)
from seqbench.models.cells.mlstm import spread
from seqbench.models.cells.short_convolution import TokenShift
from seqbench.models.chunk import low_rank
from seqbench.models.init import time_constants
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import State
from seqbench.models.unfold.tokens import affine

#: The most that log w falls below 0.
LARGEST_DECAY = math.exp(-0.5)
#: The biases of decays at the start, spread over the rows of a head.
DECAY_BIAS = (-6.0, 1.0)


class RWKV7(MatrixCell):
    """The time mixing of RWKV-7: what lies under one key is taken out, and something put in under another.

        x̃(t) = x(t) + μ ⊙ (x(t−1) − x(t))               one μ for each of r, k, v, d, e, p
        r, k, v = Uʳ x̃, Uᵏ x̃, Uᵛ x̃                       H numbers each
        w(t) = exp(−e^(−½) σ(bʷ + Wʷ tanh(Uᵈ x̃)))        the decay of each row
        a(t) = σ(bᵃ + Wᵃ Uᵉ x̃)                           how much is taken out
        κ̂(t) = κ/‖κ‖,   κ = k(t) ⊙ ξ                    for each head
        k̃(t) = k(t) ⊙ (1 + (a(t) − 1) ⊙ η)
        S(t) = (diag(w(t)) − (a(t) ⊙ κ̂(t)) κ̂(t)ᵀ) S(t−1) + k̃(t) v(t)ᵀ     for each head, (H/A, H/A)
        o(t) = S(t)ᵀ r(t)/√(H/A)
        y(t) = γ ⊙ norm(o(t)) + β + (r(t) · (ρ ⊙ k̃(t))) v(t)             layer norm over each head
        h(t) = W (y(t) ⊙ Wᵍ σ(Uᵖ x̃))

    Parameters U (3H + 3R, F) stacks r, k, v, d, e, p, and μ (6, F) their shifts; Wʷ, Wᵃ, Wᵍ (H, R); bʷ, bᵃ,
    ξ, η, ρ, γ, β (H); W (H, H). The state is U (μ ⊙ x) of the last step, 3H + 3R numbers, and S.

    Args:
        input_size: F.
        hidden_size: H.
        heads: A, a divisor of H.
        rank: R, the bottlenecks of decay, removal and gate.
        decay_bias: bʷ of the first and of the last row of a head at the start: from slow to fast.
        chunk_size: steps that are taken at once; None for at most 16, in even chunks.

    Raises:
        ValueError: a size below 1, or heads that do not divide H or of one number; or, from `check_length`,
            a chunk that is longer than the sequence.

    Source: Peng et al. (2025), "RWKV-7 'Goose' with expressive dynamic state evolution", section 4, time
    mixing. The mixing of values with those of the first layer is left out, and channel mixing is the block's
    MLP. The division by √(H/A) changes nothing but the size of what is normed.
    """

    norms_heads = True
    usual_chunk = 16

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 1,
        rank: int = 16,
        decay_bias: Sequence[float] = DECAY_BIAS,
        chunk_size: int | None = None,
    ) -> None:
        check_heads(heads, hidden_size=hidden_size)
        check_norm(heads, hidden_size)
        at_least_one(rank=(rank, "number of the bottlenecks"))
        rows = [hidden_size] * 3 + [rank] * 3
        super().__init__(
            input_size, hidden_size, rows, hidden_size, chunk_size, convolution=TokenShift(sum(rows))
        )
        self.heads, self.rows = heads, rows
        self.parts = [2 * sum(rows)]  # of this step and of the one before, whose sum is what has these rows
        self.mu = nn.Parameter(torch.rand(6, input_size))
        self.W_decay, self.W_removal, self.W_gate = (nn.Parameter(draw(hidden_size, rank)) for _ in range(3))
        self.b_decay = nn.Parameter(spread(decay_bias, hidden_size // heads, "decay_bias").repeat(heads))
        self.b_removal = nn.Parameter(torch.zeros(hidden_size))
        self.xi, self.eta, self.gamma = (nn.Parameter(torch.ones(hidden_size)) for _ in range(3))
        self.rho, self.beta = (nn.Parameter(torch.zeros(hidden_size)) for _ in range(2))

    def time_scales(self) -> str | None:
        return time_constants(torch.exp(-LARGEST_DECAY * torch.sigmoid(self.b_decay)))

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps G"]:
        mu = torch.cat([mu.expand(rows, -1) for mu, rows in zip(self.mu, self.rows, strict=True)])
        return affine(x, torch.cat([self.U * (1 - mu), self.U * mu]))

    def enter(self, parts: Sequence[Tensor]) -> Given:
        r, k, v, d, e, gate = torch.split(parts[0], self.rows, dim=-1)
        decay = nn.functional.linear(torch.tanh(d), self.W_decay, self.b_decay)
        removal = torch.sigmoid(nn.functional.linear(e, self.W_removal, self.b_removal))
        key = k * (1 + (removal - 1) * self.eta)
        size = self.hidden_size // self.heads
        # Under autocast `decay` has half precision, in which a w near 1 is 1.
        log_w = -LARGEST_DECAY * torch.sigmoid(decay.to(self.b_decay.dtype))
        r, k, v, key, log_w, removal, bonus = (
            torch.unflatten(part, -1, (self.heads, size))
            for part in (r, k * self.xi, v, key, log_w, removal, r * self.rho * key)
        )
        out = unit_norm(k)
        given = {"q": r * size**-0.5, "k": key, "v": v, "a": -out, "b": removal * out, "log_w": log_w}
        return given | {"bonus": bonus.sum(-1, keepdim=True), "gate": gate}

    def recur(self, given: Given, memory: State) -> tuple[Tensor, State]:
        q, k, v, a, b, log_w = (given[name][..., None] for name in ("q", "k", "v", "a", "b", "log_w"))
        S = torch.exp(log_w) * memory[0] + b * (a.mT @ memory[0]) + k * v.mT
        return (q.mT @ S)[..., 0, :], (S,)

    def recur_all(self, given: Given, memory: State, chunk: int) -> tuple[Tensor, State]:
        q, k, v, a, b, log_w = (given[name] for name in ("q", "k", "v", "a", "b", "log_w"))
        outputs, S = low_rank(q, k, v, a, b, log_w, memory[0], chunk, LARGEST_DECAY)
        return outputs, (S,)

    def leave(self, parts: Sequence[Tensor], given: Given, output: Tensor) -> Tensor:
        y = self.gamma * layer_norm(output).flatten(-2) + self.beta
        y = y + (given["bonus"] * given["v"]).flatten(-2)
        return y * nn.functional.linear(torch.sigmoid(given["gate"]), self.W_gate)

    def initial_memory(self, batch_size: int) -> State:
        size = self.hidden_size // self.heads
        return (self.U.new_zeros(batch_size, self.heads, size, size),)
