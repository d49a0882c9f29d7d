"""The long short-term memory of Fig. 10.16, and what is left of it with parts removed."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seqbench.models.init import RecurrentInit, chrono_bias, init_recurrent, init_uniform
from seqbench.models.native import run_native
from seqbench.models.unfold import Cell, State

ACTIVATIONS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda a: a}


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
    cell unless `candidate` says otherwise. The slides' letters: i is g here, o is q, g is the candidate, c
    is s. A gate that is removed is 1 always.

    Args:
        input_size: F.
        hidden_size: H.
        forget_bias: where bᶠ starts. It is the whole bias of the gate: torch's module adds two vectors,
            and filling both with 1 gives an effective 2.
        recurrent_init: how each W starts: uniform, orthogonal or identity.
        peepholes: let the gates see the state: f and g also add pᶠ ⊙ s(t−1) and pᵍ ⊙ s(t−1), q adds
            p𐞥 ⊙ s(t) (Gers & Schmidhuber, 2000).
        input_gate: whether there is g.
        forget_gate: whether there is f; without it the cell is that of 1997.
        output_gate: whether there is q.
        coupled: forget as much as comes in, f = 1 − g, with no weights of f's own.
        candidate: tanh; sigmoid, as [26] prints it; identity, no squashing.
        output: tanh, as [28]; identity, no squashing.
        chrono: the longest dependency expected; the forget gate's bias then starts where the units' time
            constants cover that range, and the input gate's at its negative, whatever `forget_bias`
            (Tallec & Ollivier, 2018).

    Raises:
        ValueError: `coupled` without both of its gates; `chrono` without a forget gate.

    Parameters U (4H, F), W (4H, H), b (4H) stack the gates in torch's order, g, f, candidate, q, those that
    there are; p (gates, H) likewise.

    Source: Hochreiter & Schmidhuber (1997); forget gate: Gers, Schmidhuber & Cummins (2000); the parts
    removed one by one: Greff et al. (2017), "LSTM: a search space odyssey".
    """

    has_native = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_bias: float = 1.0,
        recurrent_init: RecurrentInit = "uniform",
        peepholes: bool = False,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        coupled: bool = False,
        candidate: Literal["tanh", "sigmoid", "identity"] = "tanh",
        output: Literal["tanh", "identity"] = "tanh",
        chrono: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if chrono is not None and not forget_gate:
            raise ValueError(f"chrono={chrono} sets the forget gate, and forget_gate is false.")
        if coupled and not (input_gate and forget_gate):
            raise ValueError("coupled=true makes the forget gate of the input gate; keep both of them.")
        there = {"g": input_gate, "f": forget_gate and not coupled, "candidate": True, "q": output_gate}
        self.parts = tuple(name for name, is_there in there.items() if is_there)
        self.coupled = coupled
        self.candidate = candidate
        self.output = output
        self.has_native = len(self.parts) == 4 and not peepholes and (candidate, output) == ("tanh", "tanh")
        rows = len(self.parts) * hidden_size
        self.U = nn.Parameter(torch.empty(rows, input_size))
        self.W = nn.Parameter(torch.empty(rows, hidden_size))
        self.b = nn.Parameter(torch.zeros(rows))
        self.p = nn.Parameter(torch.empty(len(self.parts) - 1, hidden_size)) if peepholes else None
        init_uniform(self.U, hidden_size)
        init_recurrent(self.W, recurrent_init)
        if self.p is not None:
            init_uniform(self.p, hidden_size)
        biases = dict(zip(self.parts, self.b.detach().chunk(len(self.parts)), strict=True))
        if "f" in biases:
            biases["f"].fill_(forget_bias)
        if chrono is not None:
            keep = chrono_bias(hidden_size, chrono)
            if "f" in biases:
                biases["f"].copy_(keep)
            if "g" in biases:
                biases["g"].copy_(-keep)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps G"]:
        return nn.functional.linear(x, self.U, self.b)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        h, s = state
        sums = torch.addmm(projected, h, self.W.t()).chunk(len(self.parts), dim=-1)
        a = dict(zip(self.parts, sums, strict=True))
        new = ACTIVATIONS[self.candidate](a["candidate"])
        g = self._gate("g", a, s)
        f = 1 - g if self.coupled and g is not None else self._gate("f", a, s)
        s = (s if f is None else f * s) + (new if g is None else g * new)
        h = ACTIVATIONS[self.output](s)
        q = self._gate("q", a, s)
        h = h if q is None else h * q
        return h, (h, s)

    def _gate(self, name: str, a: dict[str, Tensor], s: Tensor) -> Tensor | None:
        if name not in a:
            return None
        if self.p is None:
            return torch.sigmoid(a[name])
        gates = [part for part in self.parts if part != "candidate"]
        return torch.sigmoid(a[name] + self.p[gates.index(name)] * s)

    def initial_state(self, batch_size: int) -> State:
        zeros = self.W.new_zeros(batch_size, self.hidden_size)
        return zeros, zeros

    def native(self, x: Tensor | PackedSequence, state: State) -> tuple[Tensor | PackedSequence, State]:
        return run_native(torch.lstm, x, state, [self.U, self.W, self.b, torch.zeros_like(self.b)])
