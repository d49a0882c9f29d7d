"""A deep transition: several layers from one state to the next, Fig. 10.13 (b) and (c)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.init import RecurrentInit, init_recurrent, init_uniform
from seqbench.models.unfold import Cell, State


class DeepTransitionRNN(Cell):
    """Input and state go through a multilayer perceptron before they are the next state.

        z₁(t) = tanh(b₁ + W₁ h(t−1) + U x(t))
        z_i(t) = tanh(b_i + W_i z_{i−1}(t))                     for 1 < i ≤ D
        h(t) = z_D(t)

          h(t−1) ──W₁──▶(+)──tanh──▶ z₁ ──W₂──▶(+)──tanh──▶ h(t) ──▶ output        D = 2
             │           ▲                      ▲
             │    x(t) ──U                      │
             └ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ S ─ ─ ─ ─ ─ ─┘           with `skip`

    The shortest path between the states of two steps is D times as long as in `RNN`, which makes what happens
    over many steps harder to learn. With `skip` the last layer sees h(t−1) too, through S, and the path is as
    short as before (Fig. 10.13 c).

    Parameters U (H, F), W (D·H, H): W₁ to W_D one above the other, b (D·H), and with `skip` S (H, H).
    The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        depth: D, layers from state to state; 1 gives `RNN`.
        skip: the shortcut S.
        recurrent_init: how the W_i and S start.

    Raises:
        ValueError: a depth below 1, or a skip connection over one layer, where there is nothing to skip.

    Source: Pascanu, Gulcehre, Cho & Bengio (2014), "How to construct deep
    recurrent neural networks", section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        depth: int = 2,
        skip: bool = False,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if depth < 1:
            raise ValueError(f"depth={depth} leaves no layer from state to state; give at least 1.")
        if skip and depth == 1:
            raise ValueError("skip=true has no layer to skip where depth=1; give a depth of at least 2.")
        self.depth = depth
        self.U = nn.Parameter(torch.empty(hidden_size, input_size))
        self.W = nn.Parameter(torch.empty(depth * hidden_size, hidden_size))
        self.S = nn.Parameter(torch.empty(hidden_size, hidden_size)) if skip else None
        self.b = nn.Parameter(torch.zeros(depth * hidden_size))
        init_uniform(self.U, hidden_size)
        for weight in (self.W, self.S):
            if weight is not None:
                init_recurrent(weight, recurrent_init)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps H"]:
        return nn.functional.linear(x, self.U, self.b[: self.hidden_size])

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

    def initial_state(self, batch_size: int) -> State:
        return (self.W.new_zeros(batch_size, self.hidden_size),)
