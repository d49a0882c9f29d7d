"""Skip connections through time: an RNN that also sees its state of d steps ago."""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit, init_recurrent
from seqbench.models.unfold import State


class SkipRNN(AffineCell):
    """An RNN with edges of delay d, in addition to the edges of length one or instead of them.

        h(t) = tanh(b + W h(t−1) + D h(t−d) + U x(t))

          h(t−d) ──D──────┐
          h(t−1) ──W──▶(+)──tanh──▶ h(t) ──▶ output
                        ▲
          x(t) ────U────┘

    A gradient goes back τ steps over τ/d edges, and so vanishes only as fast as over τ/d steps of an RNN.
    Without the edges of length one (`single=false`) the cell is d separate networks that run interleaved:
    the chapter's removed connections.

    Parameters U (H, F), W (H, H) where `single`, D (H, H), b (H). The state is h(t−d), …, h(t−1).

    Args:
        input_size: F.
        hidden_size: H.
        delay: d, at least 2.
        single: keep the edges of length one.
        recurrent_init: how W and D start, see `init_recurrent`.

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
        super().__init__(input_size, hidden_size, recurrent_blocks=("",) if single else ())
        if delay < 2:
            raise ValueError(f"delay={delay} skips nothing; give at least 2.")
        self.delay = self.state_vectors = delay
        self.single = single
        self.D = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.init_weights(recurrent_init)
        init_recurrent(self.D, recurrent_init)

    def check_length(self, steps: int) -> None:
        if self.delay >= steps:
            raise ValueError(
                f"delay={self.delay} does not fit into sequences of {steps} steps; give at most {steps - 1}."
            )

    def time_scales(self) -> str | None:
        return f"edges of {'1 and ' * self.single}{self.delay} steps"

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        a = torch.addmm(projected, state[0], self.D.t())
        if self.single:
            a = torch.addmm(a, state[-1], self.W.t())
        h = torch.tanh(a)
        return h, (*state[1:], h)

    def output_of(self, projected: Any, state: State) -> Tensor:
        return cast(Tensor, state[-1])

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return super().recurrent_matrices() | {"D": self.D}
