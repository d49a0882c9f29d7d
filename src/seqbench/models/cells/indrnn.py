"""The independently recurrent network: each unit sees its own past alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.affine import AffineCell
from seqbench.models.cells.rnn import ACTIVATIONS
from seqbench.models.init import init_uniform, time_constants
from seqbench.models.unfold import State


class IndRNN(AffineCell):
    """An RNN whose recurrent matrix is diagonal: a vector u, one weight for each unit.

        h(t) = relu(b + U x(t) + u ⊙ h(t−1))          (2)

          h(t−1) ──(⊙ u)──▶(+)──relu──▶ h(t) ──▶ output
                            ▲
          x(t) ─────U───────┘

    Over n steps the gradient of a unit is uⁿ times derivatives of relu: |u| alone decides whether it vanishes
    or explodes. Units of one layer do not see each other, so stack two layers or more.

    Parameters U (H, F), u (H), b (H). The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        activation: relu, as in most of the paper, or tanh.
        recurrent_range: u starts uniformly between these two.

    Raises:
        ValueError: a range that is not 0 ≤ min < max ≤ 2.

    Source: Li, Li, Cook, Zhu & Gao (2018), "Independently recurrent neural network (IndRNN): building a
    longer and deeper RNN", section 3. For sequences of T steps the paper starts u in (0, 2^(1/T)), which is
    near (0, 1), and after each update cuts |u| at 2^(1/T). Here training sets u freely.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: Literal["relu", "tanh"] = "relu",
        recurrent_range: Sequence[float] = (0.0, 1.0),
    ) -> None:
        super().__init__(input_size, hidden_size, recurrent_blocks=())
        if len(recurrent_range) != 2 or not 0 <= recurrent_range[0] < recurrent_range[1] <= 2:
            raise ValueError(
                f"recurrent_range={list(recurrent_range)} must be two numbers, 0 ≤ min < max ≤ 2: a unit "
                "above 1 grows at every step."
            )
        self.activation = activation
        init_uniform(self.U, hidden_size)
        self.u = nn.Parameter(torch.empty(hidden_size).uniform_(*recurrent_range))

    def time_scales(self) -> str | None:
        return time_constants(self.u.abs())

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        h = ACTIVATIONS[self.activation](projected + self.u * h)
        return h, (h,)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"u": torch.diag(self.u)}
