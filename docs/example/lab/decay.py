"""A cell of one's own."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.unfold import Cell


class Decay(Cell):
    """A linear state that decays, read through tanh.

        s(t) = λ s(t−1) + U x(t)
        h(t) = tanh s(t)

    Args:
        input_size: F.
        hidden_size: H.
        decay: λ.
    """

    def __init__(self, input_size: int, hidden_size: int, decay: float = 0.9) -> None:
        super().__init__(input_size, hidden_size)
        self.decay = decay
        self.U = nn.Parameter(torch.randn(hidden_size, input_size) * input_size**-0.5)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps H"]:
        return nn.functional.linear(x, self.U)

    def step(
        self, projected: Float[Tensor, "B H"], state: dict[str, Tensor]
    ) -> tuple[Float[Tensor, "B H"], dict[str, Tensor]]:
        s = self.decay * state["s"] + projected
        return torch.tanh(s), {"s": s}

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        return {"s": self.U.new_zeros(batch_size, self.hidden_size)}
