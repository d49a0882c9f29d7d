"""The recurrent network of Fig. 10.3."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seqbench.models.init import RecurrentInit, init_recurrent, init_uniform
from seqbench.models.native import run_native
from seqbench.models.unfold import Cell, State

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class RNN(Cell):
    """The classical recurrent network: a hidden state that feeds itself.

        a(t) = b + W h(t−1) + U x(t)          [5]
        h(t) = tanh a(t)                      [6]

    The readout o = c + V h, [7], belongs to the model around the cell.

          h(t−1) ──W──▶(+)──tanh──▶ h(t) ──▶ output
                        ▲
          x(t) ────U────┘

    With ReLU and W = I at the start it is the IRNN of Le, Jaitly & Hinton (2015).

    Args:
        input_size: F.
        hidden_size: H.
        activation: tanh, as the chapter has it, or relu.
        recurrent_init: how W starts: uniform (±1/√H, torch's own), orthogonal or identity.

    Source: Goodfellow, Bengio & Courville (2016), section 10.2.
    """

    has_native = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: Literal["tanh", "relu"] = "tanh",
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.activation = activation
        self.U = nn.Parameter(torch.empty(hidden_size, input_size))
        self.W = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(hidden_size))
        init_uniform(self.U, hidden_size)
        init_recurrent(self.W, recurrent_init)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps H"]:
        return nn.functional.linear(x, self.U, self.b)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        h = ACTIVATIONS[self.activation](torch.addmm(projected, h, self.W.t()))
        return h, (h,)

    def initial_state(self, batch_size: int) -> State:
        return (self.W.new_zeros(batch_size, self.hidden_size),)

    def native(self, x: Tensor | PackedSequence, state: State) -> tuple[Tensor | PackedSequence, State]:
        kernel = torch.rnn_tanh if self.activation == "tanh" else torch.rnn_relu
        return run_native(kernel, x, state, [self.U, self.W, self.b, torch.zeros_like(self.b)])
