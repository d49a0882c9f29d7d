"""The recurrent network of Fig. 10.3."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit
from seqbench.models.native import run_native
from seqbench.models.unfold import State

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class RNN(AffineCell):
    """The classical recurrent network: a hidden state that feeds itself.

        a(t) = b + W h(t−1) + U x(t)          [5]
        h(t) = tanh a(t)                      [6]

    The readout o = c + V h, [7], belongs to the model around the cell.

          h(t−1) ──W──▶(+)──tanh──▶ h(t) ──▶ output
                        ▲
          x(t) ────U────┘

    With ReLU and W = I at the start it is the IRNN of Le, Jaitly & Hinton (2015).

    Parameters U (H, F), W (H, H), b (H). The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        activation: tanh, as in the chapter, or relu.
        recurrent_init: how W starts, see `init_recurrent`.

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
        self.init_weights(recurrent_init)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        h = ACTIVATIONS[self.activation](torch.addmm(projected, h, self.W.t()))
        return h, (h,)

    def native(
        self, x: Tensor | PackedSequence, state: State, projected: bool = False
    ) -> tuple[Tensor | PackedSequence, State]:
        U, b = self.input_weights(projected)
        kernel = torch.rnn_tanh if self.activation == "tanh" else torch.rnn_relu
        return run_native(kernel, x, state, [U, self.W, b, torch.zeros_like(b)])
