"""The long short-term memory of Fig. 10.16."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seqbench.models.init import RecurrentInit, init_recurrent, init_uniform
from seqbench.models.native import run_native
from seqbench.models.unfold import Cell, State


class LSTM(Cell):
    """A state s with a linear self-loop, whose weight, the forget gate f, the context sets at each step.

        f(t) = σ(bᶠ + Uᶠ x(t) + Wᶠ h(t−1))                         [25]  forget gate
        s(t) = f(t) ⊙ s(t−1) + g(t) ⊙ tanh(b + U x(t) + W h(t−1))  [26]  state
        g(t) = σ(bᵍ + Uᵍ x(t) + Wᵍ h(t−1))                         [27]  external input gate
        h(t) = tanh(s(t)) ⊙ q(t)                                   [28]  output
        q(t) = σ(b𐞥 + U𐞥 x(t) + W𐞥 h(t−1))                         [29]  output gate

          s(t−1) ────▶(⊙ f)────▶(+)─────────────┬──▶ s(t)
                                 ▲              ▼
          x(t), h(t−1) ──tanh──▶(⊙ g)         tanh ──▶(⊙ q)──▶ h(t)

    [26] is printed with σ for the candidate; the slides of CS231n, and torch, have tanh, and so has this
    cell. The slides' letters: i is g here, o is q, g is the candidate, c is s.

    Args:
        input_size: F.
        hidden_size: H.
        forget_bias: where bᶠ starts. It is the whole bias of the gate: torch's module adds two vectors,
            and filling both with 1 gives an effective 2.
        recurrent_init: how each W starts: uniform, orthogonal or identity.

    Parameters U (4H, F), W (4H, H), b (4H) stack the gates in torch's order: g, f, candidate, q.

    Source: Hochreiter & Schmidhuber (1997); forget gate: Gers, Schmidhuber & Cummins (2000).
    """

    has_native = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_bias: float = 1.0,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.U = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.W = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(4 * hidden_size))
        init_uniform(self.U, hidden_size)
        init_recurrent(self.W, recurrent_init)
        nn.init.constant_(self.b[hidden_size : 2 * hidden_size], forget_bias)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps G"]:
        return nn.functional.linear(x, self.U, self.b)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        h, s = state
        g, f, candidate, q = torch.addmm(projected, h, self.W.t()).chunk(4, dim=-1)
        s = torch.sigmoid(f) * s + torch.sigmoid(g) * torch.tanh(candidate)
        h = torch.tanh(s) * torch.sigmoid(q)
        return h, (h, s)

    def initial_state(self, batch_size: int) -> State:
        zeros = self.W.new_zeros(batch_size, self.hidden_size)
        return zeros, zeros

    def native(self, x: Tensor | PackedSequence, state: State) -> tuple[Tensor | PackedSequence, State]:
        return run_native(torch.lstm, x, state, [self.U, self.W, self.b, torch.zeros_like(self.b)])
