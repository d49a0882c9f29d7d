"""The minimal LSTM, whose gates do not see the state."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import init_uniform, time_constants
from seqbench.models.scan import LinearCell


class MinLSTM(AffineCell, LinearCell):
    """An LSTM without output gate and tanh, whose gates f and i see the input alone, and share one unit.

        f(t) = σ(bᶠ + Uᶠ x(t)),   i(t) = σ(bⁱ + Uⁱ x(t))
        h(t) = (f(t) h(t−1) + i(t) (b + U x(t))) / (f(t) + i(t))

          h(t−1) ──▶(⊙ f/(f+i))──▶(+)──▶ h(t) ──▶ output
                                   ▲
          x(t) ──U──▶(⊙ i/(f+i))───┘

    It is linear in the state and so runs in parallel over time. The gates of a second layer depend on the
    past through their input, so stack two or three layers.

    Parameters U (3H, F), b (3H) stack f, i, candidate. The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        forget_bias: initial value of bᶠ. Above 0 the state is at first kept longer.

    Source: Feng, Tung, Ahmed, Bengio & Hajimirsadeghi (2024), "Were RNNs all we needed?", section 3.2, with
    the gates made to sum to one.
    """

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, blocks=("f", "i", "candidate"), recurrent_blocks=())
        init_uniform(self.U, input_size)
        self.bias("f").fill_(forget_bias)

    def time_scales(self) -> str | None:
        f, i = torch.sigmoid(self.bias("f")), torch.sigmoid(self.bias("i"))
        return time_constants(f / (f + i))

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        # Under autocast the projection has half precision, in which a share near 1 is 1.
        f, i, candidate = projected.to(self.b.dtype).chunk(3, dim=-1)
        # f / (f + i), where both may be too small for a float.
        kept = torch.sigmoid(softplus(-i) - softplus(-f))
        return kept, (1 - kept) * candidate
