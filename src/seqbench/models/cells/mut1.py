"""MUT1, found by a search over recurrent cells."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit, time_constants
from seqbench.models.unfold import State
from seqbench.models.unfold.tokens import affine


class MUT1(AffineCell):
    """A GRU whose update gate z does not see the state, and whose candidate takes the input through tanh.

        z(t) = σ(bᶻ + Uᶻ x(t))
        r(t) = σ(bʳ + Uʳ x(t) + Wʳ h(t−1))
        h(t) = (1 − z(t)) ⊙ h(t−1) + z(t) ⊙ tanh(b + tanh(U x(t)) + W (r(t) ⊙ h(t−1)))

          h(t−1) ──┬────────────────(⊙ 1−z)──────────────┐
                   └──▶(⊙ r)──W──▶(+)──tanh──▶(⊙ z)─────▶(+)──▶ h(t) ──▶ output
                                   ▲
          x(t) ──U──tanh───────────┘

    The paper adds tanh(x(t)), with inputs as wide as the state; here U brings inputs to that width.

    Parameters U (3H, F) stacks z, r, candidate; W (2H, H) stacks r, candidate; b (3H) as U. The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        update_bias: initial value of bᶻ. Below 0 the state is at first kept longer.
        recurrent_init: how each block of W starts, see `init_recurrent`.

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
        super().__init__(input_size, hidden_size, ("z", "r", "candidate"), ("r", "candidate"))
        self.init_weights(recurrent_init)
        self.bias("z").fill_(update_bias)

    def time_scales(self) -> str | None:
        return time_constants(torch.sigmoid(-self.bias("z")))

    reads_tokens = True

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps G"]:
        z, r, candidate = affine(x, self.U).chunk(3, dim=-1)
        b_z, b_r, b = self.b.chunk(3)
        return torch.cat([torch.sigmoid(b_z + z), b_r + r, b + torch.tanh(candidate)], dim=-1)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        z, reset, driven = projected.chunk(3, dim=-1)
        W_r, W = self.W.chunk(2)
        r = torch.sigmoid(torch.addmm(reset, h, W_r.t()))
        h = (1 - z) * h + z * torch.tanh(torch.addmm(driven, r * h, W.t()))
        return h, (h,)
