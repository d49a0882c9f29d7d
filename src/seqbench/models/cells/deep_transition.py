"""A deep transition: several layers from one state to the next, Fig. 10.13 (b) and (c)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit, init_recurrent
from seqbench.models.sizes import MOST_PARTS, at_least_one
from seqbench.models.unfold import State
from seqbench.models.unfold.tokens import affine


class DeepTransitionRNN(AffineCell):
    """A multilayer perceptron computes the next state from the input and the state.

        z₁(t) = tanh(b₁ + W₁ h(t−1) + U x(t))
        z_i(t) = tanh(b_i + W_i z_{i−1}(t))                     for 1 < i ≤ D
        h(t) = z_D(t)

          h(t−1) ──W₁──▶(+)──tanh──▶ z₁ ──W₂──▶(+)──tanh──▶ h(t) ──▶ output        D = 2
             │           ▲                      ▲
             │    x(t) ──U                      │
             └ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ S ─ ─ ─ ─ ─ ─┘           with `skip`

    The shortest path between the states of two steps is D times as long as in `RNN`, which makes long
    dependencies harder to learn. With `skip` the last layer also sees h(t−1), through S, and the path is as
    short as in `RNN` (Fig. 10.13 c).

    Parameters U (H, F); W (D·H, H) stacks W₁ to W_D, b (D·H) likewise; with `skip` S (H, H). The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        depth: D, layers from state to state; 1 gives `RNN`.
        skip: add the skip connection S.
        recurrent_init: how each W_i and S start, see `init_recurrent`.

    Raises:
        ValueError: a depth below 1, or a skip connection where the depth is 1.

    Source: Pascanu, Gulcehre, Cho & Bengio (2014), "How to construct deep recurrent neural networks",
    section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        depth: int = 2,
        skip: bool = False,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        at_least_one(MOST_PARTS, depth=(depth, "layer from state to state"))
        if skip and depth == 1:
            raise ValueError("skip=true has no layer to skip where depth=1; give a depth of at least 2.")
        layers = tuple(str(i) for i in range(1, depth + 1))
        super().__init__(input_size, hidden_size, blocks=("1",), recurrent_blocks=layers)
        self.depth = depth
        self.S = nn.Parameter(torch.empty(hidden_size, hidden_size)) if skip else None
        self.init_weights(recurrent_init)
        if self.S is not None:
            init_recurrent(self.S, recurrent_init)

    reads_tokens = True

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps H"]:
        return affine(x, self.U, self.b[: self.hidden_size])

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        first, *others = self.W.chunk(self.depth)
        biases = self.b.chunk(self.depth)[1:]
        z = torch.tanh(torch.addmm(projected, h, first.t()))
        for i, (W, b) in enumerate(zip(others, biases, strict=True), start=2):
            a = torch.addmm(b, z, W.t())
            if self.S is not None and i == self.depth:
                a = torch.addmm(a, h, self.S.t())
            z = torch.tanh(a)
        return z, (z,)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return super().recurrent_matrices() | ({} if self.S is None else {"S": self.S})
