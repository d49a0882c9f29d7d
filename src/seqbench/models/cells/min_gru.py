"""The minimal GRU, whose gate does not see the state."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.init import init_uniform
from seqbench.models.scan import LinearCell
from seqbench.models.unfold import State


class MinGRU(LinearCell):
    """A GRU without reset gate, tanh, or a look at the state: a leaky unit whose α the input sets.

        z(t) = σ(bᶻ + Uᶻ x(t))
        h(t) = (1 − z(t)) ⊙ h(t−1) + z(t) ⊙ (b + U x(t))

          h(t−1) ────▶(⊙ 1−z)────▶(+)──▶ h(t) ──▶ output
                                   ▲
          x(t) ───U──▶(⊙ z)────────┘

    Being linear in the state it runs in parallel over time. What a gate cannot see in one layer it sees in
    the next: stack two or three.

    Parameters U (2H, F), b (2H) stack z, candidate.

    Args:
        input_size: F.
        hidden_size: H.
        update_bias: where bᶻ starts; below 0 the state is kept longer at first.

    Source: Feng, Tung, Ahmed, Bengio & Hajimirsadeghi (2024), "Were RNNs all we needed?", section 3.1.
    """

    def __init__(self, input_size: int, hidden_size: int, update_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.b = nn.Parameter(torch.zeros(2 * hidden_size))
        init_uniform(self.U, input_size)
        nn.init.constant_(self.b[:hidden_size], update_bias)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps G"]:
        return nn.functional.linear(x, self.U, self.b)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        z, candidate = projected.chunk(2, dim=-1)
        z = torch.sigmoid(z)
        return 1 - z, z * candidate

    def initial_state(self, batch_size: int) -> State:
        return (self.b.new_zeros(batch_size, self.hidden_size),)
