"""mLSTM, the parallel cell of xLSTM: a matrix as state, with exponential gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from seqbench.models.cells.matrix_state import Given, MatrixCell, check_heads, check_norm, layer_norm
from seqbench.models.chunk import EPSILON, least_divisor, stabilised
from seqbench.models.init import time_constants
from seqbench.models.unfold import State

#: The biases of forget gates at the start, spread over heads or units.
FORGET_BIAS = (3.0, 6.0)


class MLSTM(MatrixCell):
    """An LSTM whose state is a matrix, with an exponential input gate and no matrix from state to state.

        q, k′, v, o′, i, f′ = U x(t),   k = k′/√(H/A)                        (22)–(27)
        i(t) += bⁱ,   f(t) = σ(f′(t) + bᶠ),   o(t) = σ(o′(t))                i and f for each head
        C(t) = f(t) C(t−1) + exp(i(t)) k(t) v(t)ᵀ       for each head        (19), transposed
        n(t) = f(t) n(t−1) + exp(i(t)) k(t)             for each head        (20)
        h̃(t) = C(t)ᵀ q(t) / max(|n(t) · q(t)|, 1)       for each head        (21)
        h(t) = W (o(t) ⊙ g ⊙ norm(h̃(t)))                layer norm over each head

    C and n are held over exp(m(t)), where m(t) = max(log f(t) + m(t−1), i(t)) is the largest exponent so far.

    Parameters U (4H + 2A, F), bⁱ, bᶠ (A), g (H), W (H, H). The state is C (A, H/A, H/A), n (A, H/A), m (A).

    Args:
        input_size: F.
        hidden_size: H.
        heads: A, a divisor of H.
        forget_bias: bᶠ of the first and of the last head at the start; that of a single one is the first.
        chunk_size: steps that are taken at once; None for at most 64, in even chunks.

    Raises:
        ValueError: heads that do not divide H or of one number, or forget biases that are not two; or, from
            `check_length`, a chunk that is longer than the sequence.

    Source: Beck et al. (2024), "xLSTM: extended long short-term memory", section 2.3 and appendix A; norm,
    gate and W as in Beck et al. (2025), "xLSTM 7B", section 3. The convolution and the up-projection of the
    first paper's blocks are left out, as in the second.
    """

    norms_heads = True
    idle: ClassVar[dict[str, float]] = {"i": -torch.inf}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 1,
        forget_bias: Sequence[float] = FORGET_BIAS,
        chunk_size: int | None = None,
    ) -> None:
        check_heads(heads, hidden_size=hidden_size)
        check_norm(heads, hidden_size)
        super().__init__(input_size, hidden_size, [hidden_size] * 4 + [heads] * 2, hidden_size, chunk_size)
        self.heads = heads
        self.U.data[-2 * heads :] = 0  # gates at first do not see the input
        self.b_input = nn.Parameter(0.1 * torch.randn(heads))
        self.b_forget = nn.Parameter(spread(forget_bias, heads))
        self.g = nn.Parameter(torch.ones(hidden_size))

    def time_scales(self) -> str | None:
        return time_constants(torch.sigmoid(self.b_forget))

    def enter(self, parts: Sequence[Tensor]) -> Given:
        (q, k, v, _, i, f), H, A = parts, self.hidden_size, self.heads
        q, k, v = (torch.unflatten(part, -1, (A, -1)) for part in (q, k * (H // A) ** -0.5, v))
        log_f = nn.functional.logsigmoid(f + self.b_forget)
        return {"q": q, "k": k, "v": v, "i": (i + self.b_input)[..., None], "log_f": log_f[..., None]}

    def recur(self, given: Given, memory: State) -> tuple[Tensor, State]:
        C, n, m = memory[0], memory[1], memory[2][..., None]
        q, k, v, i = (given[name] for name in ("q", "k", "v", "i"))
        kept = given["log_f"] + m
        m = torch.maximum(kept, i)
        forget, take = torch.exp(kept - m), torch.exp(i - m)
        C = forget[..., None] * C + (take * k)[..., None] * v[..., None, :]
        n = forget * n + take * k
        divisor = torch.maximum((n * q).sum(-1, keepdim=True).abs(), least_divisor(m)) + EPSILON
        return (q[..., None] * C).sum(-2) / divisor, (C, n, m[..., 0])

    def recur_all(self, given: Given, memory: State, chunk: int) -> tuple[Tensor, State]:
        q, k, v, i, log_f = (given[name] for name in ("q", "k", "v", "i", "log_f"))
        return stabilised(q, k, v, i, log_f, memory, chunk)

    def leave(self, parts: Sequence[Tensor], given: Given, output: Tensor) -> Tensor:
        return torch.sigmoid(parts[3]) * self.g * layer_norm(output).flatten(-2)

    def initial_memory(self, batch_size: int) -> State:
        size = self.hidden_size // self.heads
        C = self.g.new_zeros(batch_size, self.heads, size, size)
        return C, C[..., 0].clone(), C[..., 0, 0].clone()


def spread(between: Sequence[float], count: int, name: str = "forget_bias") -> Tensor:
    """Return `count` numbers that are evenly spread between two.

    Raises:
        ValueError: there are not two.
    """
    if len(between) != 2:
        raise ValueError(f"{name}={list(between)} must be two numbers, between which biases are spread.")
    return torch.linspace(between[0], between[1], count)
