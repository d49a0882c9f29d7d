"""Skip connections through time: an RNN that also sees its state of d steps ago."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.init import RecurrentInit, init_recurrent, init_uniform
from seqbench.models.unfold import Cell, State


class SkipRNN(Cell):
    """Edges with a delay d beside those of length one, or in their place.

        h(t) = tanh(b + W h(t−1) + D h(t−d) + U x(t))

          h(t−d) ──D──────┐
          h(t−1) ──W──▶(+)──tanh──▶ h(t) ──▶ output
                        ▲
          x(t) ────U────┘

    A gradient goes from step τ back to the start in τ/d hops in place of τ, so that it vanishes as slowly as
    over a d-th of the span. Without the edges of length one, `single=false`, the cell is d separate networks
    that take turns: the chapter's removed connections.

    Parameters U (H, F), W (H, H), D (H, H), b (H). The state is h(t−d), …, h(t−1).

    Args:
        input_size: F.
        hidden_size: H.
        delay: d, at least 2.
        single: keep the edges of length one.
        recurrent_init: how W and D start: uniform, orthogonal or identity.

    Raises:
        ValueError: a delay below 2.

    Source: Lin, Horne, Tiňo & Giles (1996); Goodfellow, Bengio & Courville (2016), sections 10.9.1, 10.9.3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        delay: int = 10,
        single: bool = True,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if delay < 2:
            raise ValueError(f"delay={delay} skips nothing; give at least 2.")
        self.delay = delay
        self.U = nn.Parameter(torch.empty(hidden_size, input_size))
        self.W = nn.Parameter(torch.empty(hidden_size, hidden_size)) if single else None
        self.D = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(hidden_size))
        init_uniform(self.U, hidden_size)
        for weight in (self.W, self.D):
            if weight is not None:
                init_recurrent(weight, recurrent_init)

    def check_length(self, steps: int) -> None:
        if self.delay >= steps:
            raise ValueError(
                f"delay={self.delay} is longer than {steps} steps of a sequence allow; {steps - 1} would do."
            )

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps H"]:
        return nn.functional.linear(x, self.U, self.b)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        a = torch.addmm(projected, state[0], self.D.t())
        if self.W is not None:
            a = torch.addmm(a, state[-1], self.W.t())
        h = torch.tanh(a)
        return h, (*state[1:], h)

    def initial_state(self, batch_size: int) -> State:
        return (self.D.new_zeros(batch_size, self.hidden_size),) * self.delay
