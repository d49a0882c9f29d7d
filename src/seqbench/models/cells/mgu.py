"""The minimal gated unit: one gate for everything."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit, time_constants
from seqbench.models.unfold import State


class MGU(AffineCell):
    """A GRU with one gate, f, in place of two: it both resets and updates.

        f(t) = σ(bᶠ + Uᶠ x(t) + Wᶠ h(t−1))
        h(t) = (1 − f(t)) ⊙ h(t−1) + f(t) ⊙ tanh(b + U x(t) + W (f(t) ⊙ h(t−1)))

          h(t−1) ──┬──────────(⊙ 1−f)───────────────┐
                   └──▶(⊙ f)──W──▶(+)──tanh──▶(⊙ f)──▶(+)──▶ h(t) ──▶ output
                                   ▲
          x(t) ───────────U────────┘

    Parameters U (2H, F), W (2H, H), b (2H) stack f, candidate. The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        gate_bias: initial value of bᶠ. Below 0 the state is at first kept longer.
        recurrent_init: how each block of W starts, see `init_recurrent`.

    Source: Zhou, Wu, Zhang & Zhou (2016), "Minimal gated unit for recurrent neural networks", equations 6–8.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        gate_bias: float = 0.0,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size, blocks=("f", "candidate"))
        self.init_weights(recurrent_init)
        self.bias("f").fill_(gate_bias)

    def time_scales(self) -> str | None:
        return time_constants(torch.sigmoid(-self.bias("f")))

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        gate, Ux = projected.chunk(2, dim=-1)
        W_f, W = self.W.chunk(2)
        f = torch.sigmoid(torch.addmm(gate, h, W_f.t()))
        h = (1 - f) * h + f * torch.tanh(torch.addmm(Ux, f * h, W.t()))
        return h, (h,)
