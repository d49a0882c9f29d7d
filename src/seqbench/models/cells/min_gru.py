"""The minimal GRU, whose gate does not see the state."""

from __future__ import annotations

import torch
from torch import Tensor

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import init_uniform, time_constants
from seqbench.models.scan import LinearCell


class MinGRU(AffineCell, LinearCell):
    """A GRU without reset gate and tanh, whose gate z sees the input alone: a leaky unit with 1 − z for α.

        z(t) = σ(bᶻ + Uᶻ x(t))
        h(t) = (1 − z(t)) ⊙ h(t−1) + z(t) ⊙ (b + U x(t))

          h(t−1) ────▶(⊙ 1−z)────▶(+)──▶ h(t) ──▶ output
                                   ▲
          x(t) ───U──▶(⊙ z)────────┘

    It is linear in the state and so runs in parallel over time. The gate of a second layer depends on the
    past through its input, so stack two or three layers.

    Parameters U (2H, F), b (2H) stack z, candidate. The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        update_bias: initial value of bᶻ. Below 0 the state is at first kept longer.

    Source: Feng, Tung, Ahmed, Bengio & Hajimirsadeghi (2024), "Were RNNs all we needed?", section 3.1.
    """

    def __init__(self, input_size: int, hidden_size: int, update_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, blocks=("z", "candidate"), recurrent_blocks=())
        init_uniform(self.U, input_size)
        self.bias("z").fill_(update_bias)

    def time_scales(self) -> str | None:
        return time_constants(torch.sigmoid(-self.bias("z")))

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        # Under autocast the projection has half precision, in which 1 − z near 1 is 1.
        z, candidate = projected.to(self.b.dtype).chunk(2, dim=-1)
        z = torch.sigmoid(z)
        return 1 - z, z * candidate
