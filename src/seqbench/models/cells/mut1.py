"""MUT1, found by a search over recurrent cells."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.init import RecurrentInit, init_recurrent, init_uniform
from seqbench.models.unfold import Cell, State


class MUT1(Cell):
    """A GRU whose update gate does not see the state, and whose candidate takes the squashed input.

        z(t) = σ(bᶻ + Uᶻ x(t))
        r(t) = σ(bʳ + Uʳ x(t) + Wʳ h(t−1))
        h(t) = (1 − z(t)) ⊙ h(t−1) + z(t) ⊙ tanh(b + tanh(U x(t)) + W (r(t) ⊙ h(t−1)))

          h(t−1) ──┬────────────────(⊙ 1−z)──────────────┐
                   └──▶(⊙ r)──W──▶(+)──tanh──▶(⊙ z)─────▶(+)──▶ h(t) ──▶ output
                                   ▲
          x(t) ──U──tanh───────────┘

    The paper adds tanh(x(t)) itself, its inputs being of the state's width; U makes them so here.

    Parameters U (3H, F) stacks z, r, candidate; W (2H, H) stacks r, candidate; b (3H) as U.

    Args:
        input_size: F.
        hidden_size: H.
        update_bias: where bᶻ starts; below 0 the state is kept longer at first.
        recurrent_init: how each W starts: uniform, orthogonal or identity.

    Source: Jozefowicz, Zaremba & Sutskever (2015), "An empirical exploration of recurrent network
    architectures", section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        update_bias: float = 0.0,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.W = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(3 * hidden_size))
        init_uniform(self.U, hidden_size)
        init_recurrent(self.W, recurrent_init)
        nn.init.constant_(self.b[:hidden_size], update_bias)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps G"]:
        z, r, candidate = nn.functional.linear(x, self.U).chunk(3, dim=-1)
        b_z, b_r, b = self.b.chunk(3)
        return torch.cat([torch.sigmoid(b_z + z), b_r + r, b + torch.tanh(candidate)], dim=-1)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        z, reset, driven = projected.chunk(3, dim=-1)
        W_r, W = self.W.chunk(2)
        r = torch.sigmoid(torch.addmm(reset, h, W_r.t()))
        h = (1 - z) * h + z * torch.tanh(torch.addmm(driven, r * h, W.t()))
        return h, (h,)

    def initial_state(self, batch_size: int) -> State:
        return (self.W.new_zeros(batch_size, self.hidden_size),)
