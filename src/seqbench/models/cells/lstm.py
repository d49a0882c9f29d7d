"""The long short-term memory of Fig. 10.16."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit, chrono_bias, time_constants
from seqbench.models.native import run_native
from seqbench.models.unfold import State

#: The initial bias of the forget gate, unless another one is given.
FORGET_BIAS = 1.0


class LSTM(AffineCell):
    """A state s with a linear self-loop. Its weight is the forget gate f, which depends on the context.

        f(t) = σ(bᶠ + Uᶠ x(t) + Wᶠ h(t−1))                         [25]  forget gate
        s(t) = f(t) ⊙ s(t−1) + g(t) ⊙ tanh(b + U x(t) + W h(t−1))  [26]  state
        g(t) = σ(bᵍ + Uᵍ x(t) + Wᵍ h(t−1))                         [27]  external input gate
        h(t) = tanh(s(t)) ⊙ q(t)                                   [28]  output
        q(t) = σ(b𐞥 + U𐞥 x(t) + W𐞥 h(t−1))                         [29]  output gate

          s(t−1) ────▶(⊙ f)────▶(+)─────────────┬──▶ s(t)
                                 ▲              ▼
          x(t), h(t−1) ──tanh──▶(⊙ g)         tanh ──▶(⊙ q)──▶ h(t)

    The chapter prints [26] with σ for the candidate. The slides of CS231n and torch have tanh, and so does
    this cell. The slides write i for g, o for q, g for the candidate, and c for s. `LSTMVariant` removes or
    replaces parts.

    Parameters U (4H, F), W (4H, H), b (4H) stack g, f, candidate, q, in torch's order. The state is h and s.

    Args:
        input_size: F.
        hidden_size: H.
        forget_bias: initial value of bᶠ, the whole bias of the gate. (torch.nn.LSTM adds two bias vectors;
            filling both with 1 gives an effective 2.)
        recurrent_init: how each block of W starts, see `init_recurrent`.
        chrono: the longest dependency expected. If given, bᶠ starts so that the units' time constants cover
            that range, and bᵍ at −bᶠ, and `forget_bias` must be 1 (Tallec & Ollivier, 2018).

    Raises:
        ValueError: `chrono` below 3, or with another `forget_bias`.

    Source: Hochreiter & Schmidhuber (1997); forget gate: Gers, Schmidhuber & Cummins (2000); Goodfellow,
    Bengio & Courville (2016), section 10.10.1.
    """

    has_native = True
    state_vectors = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_bias: float = FORGET_BIAS,
        recurrent_init: RecurrentInit = "uniform",
        chrono: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, blocks=("g", "f", "candidate", "q"))
        self.init_weights(recurrent_init)
        self.init_biases(forget_bias, chrono)

    def init_biases(self, forget_bias: float, chrono: int | None) -> None:
        """Set the biases of the forget and the input gate, where the cell has them."""
        if "f" in self.blocks:
            self.bias("f").fill_(forget_bias)
        if chrono is not None:
            if forget_bias != FORGET_BIAS:
                raise ValueError(
                    f"forget_bias={forget_bias} is replaced by what chrono={chrono} draws; give one of them."
                )
            keep = chrono_bias(self.hidden_size, chrono)
            for gate, start in (("f", keep), ("g", -keep)):
                if gate in self.blocks:
                    self.bias(gate).copy_(start)

    def time_scales(self) -> str | None:
        return time_constants(torch.sigmoid(self.bias("f")))

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        h, s = state
        a_g, a_f, a, a_q = torch.addmm(projected, h, self.W.t()).chunk(4, dim=-1)
        f = torch.sigmoid(a_f)  # [25]
        g = torch.sigmoid(a_g)  # [27]
        s = f * s + g * torch.tanh(a)  # [26]
        q = torch.sigmoid(a_q)  # [29]
        h = torch.tanh(s) * q  # [28]
        return h, (h, s)

    def native(
        self, x: Tensor | PackedSequence, state: State, projected: bool = False
    ) -> tuple[Tensor | PackedSequence, State]:
        U, b = self.input_weights(projected)
        return run_native(torch.lstm, x, state, [U, self.W, b, torch.zeros_like(b)])
