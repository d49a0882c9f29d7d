"""The minimal gated unit: one gate for everything."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.init import RecurrentInit, init_recurrent, init_uniform
from seqbench.models.unfold import Cell, State


class MGU(Cell):
    """A GRU whose two gates are one, f: what is updated is what was reset.

        f(t) = σ(bᶠ + Uᶠ x(t) + Wᶠ h(t−1))
        h(t) = (1 − f(t)) ⊙ h(t−1) + f(t) ⊙ tanh(b + U x(t) + W (f(t) ⊙ h(t−1)))

          h(t−1) ──┬──────────(⊙ 1−f)───────────────┐
                   └──▶(⊙ f)──W──▶(+)──tanh──▶(⊙ f)──▶(+)──▶ h(t) ──▶ output
                                   ▲
          x(t) ───────────U────────┘

    Parameters U (2H, F), W (2H, H), b (2H) stack f, candidate.

    Args:
        input_size: F.
        hidden_size: H.
        gate_bias: where bᶠ starts; below 0 the state is kept longer at first.
        recurrent_init: how each W starts: uniform, orthogonal or identity.

    Source: Zhou, Wu, Zhang & Zhou (2016), "Minimal gated unit for recurrent neural networks", equations 6–8.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        gate_bias: float = 0.0,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.W = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(2 * hidden_size))
        init_uniform(self.U, hidden_size)
        init_recurrent(self.W, recurrent_init)
        nn.init.constant_(self.b[:hidden_size], gate_bias)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps G"]:
        return nn.functional.linear(x, self.U, self.b)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        gate, Ux = projected.chunk(2, dim=-1)
        W_f, W = self.W.chunk(2)
        f = torch.sigmoid(torch.addmm(gate, h, W_f.t()))
        h = (1 - f) * h + f * torch.tanh(torch.addmm(Ux, f * h, W.t()))
        return h, (h,)

    def initial_state(self, batch_size: int) -> State:
        return (self.W.new_zeros(batch_size, self.hidden_size),)
