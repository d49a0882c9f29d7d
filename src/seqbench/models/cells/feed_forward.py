"""A step without memory: a recurrent network without its edge from state to state."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.models.cells.affine import AffineCell
from seqbench.models.unfold import State


class FeedForward(AffineCell):
    """A hidden layer that sees only the current step, for models whose outputs carry the memory.

        h(t) = tanh(b + U x(t))

    With `feedback` its model is the chapter's second pattern, Fig. 10.4, whose only recurrence goes from
    output to hidden layer (Jordan, 1986):

        h(t) = tanh(b + W ŷ(t−1) + U x(t))        [U W] one matrix, over x(t) and ŷ(t−1)
        o(t) = c + V h(t)

          ŷ(t−1) ──W──▶(+)──tanh──▶ h(t) ──V──▶ o(t) ──▶ ŷ(t)
                        ▲
          x(t) ────U────┘

    An output is trained to match a target, so it carries from the past only what the targets contain: the
    model is weaker than `RNN`. In return, with the true y(t−1) in place of ŷ(t−1) no step depends on
    another, and all steps are trained in parallel.

    Parameters U (H, F), b (H). There is no state.

    Args:
        input_size: F.
        hidden_size: H.

    Source: Goodfellow, Bengio & Courville (2016), sections 10.2 and 10.2.1.
    """

    has_scan = True
    state_vectors = 0

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, recurrent_blocks=())
        self.init_weights()

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        return torch.tanh(projected), state

    def scan(self, projected: Tensor, state: State, valid: Tensor | None) -> tuple[Tensor, State]:
        h = torch.tanh(projected)
        return (h if valid is None else torch.where(valid, h, 0)), state
