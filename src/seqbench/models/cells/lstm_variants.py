"""The LSTM with parts removed, coupled, added or replaced."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.affine import AffineCell
from seqbench.models.cells.lstm import FORGET_BIAS, LSTM
from seqbench.models.init import RecurrentInit, init_uniform, time_constants
from seqbench.models.unfold import State

ACTIVATIONS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda a: a}


class LSTMVariant(LSTM):
    """An LSTM whose gates and activations are options, for ablations. With the defaults it is `LSTM`.

        f(t) = σ(bᶠ + Uᶠ x(t) + Wᶠ h(t−1) + pᶠ ⊙ s(t−1))   1 without forget_gate, 1 − g(t) where coupled
        g(t) = σ(bᵍ + Uᵍ x(t) + Wᵍ h(t−1) + pᵍ ⊙ s(t−1))   1 without input_gate
        s(t) = f(t) ⊙ s(t−1) + g(t) ⊙ candidate(b + U x(t) + W h(t−1))
        q(t) = σ(b𐞥 + U𐞥 x(t) + W𐞥 h(t−1) + p𐞥 ⊙ s(t))     1 without output_gate
        h(t) = output(s(t)) ⊙ q(t)

    Parameters U (n·H, F), W (n·H, H), b (n·H) stack g, f, candidate, q, without the removed gates and, where
    coupled, without f; with `peepholes`, p (n−1, H) stacks the gates alone. The state is h and s.

    Args:
        input_size: F.
        hidden_size: H.
        forget_bias: initial value of bᶠ, see `LSTM`.
        recurrent_init: how each block of W starts, see `init_recurrent`.
        peepholes: add the terms with p, through which the gates see the state (Gers & Schmidhuber, 2000).
        input_gate: whether g is computed.
        forget_gate: whether f is computed. Without it the cell is that of 1997.
        output_gate: whether q is computed.
        coupled: set f = 1 − g, with no weights for f.
        candidate: activation of the candidate: tanh; sigmoid, as the chapter prints [26]; or identity.
        output: activation of the output: tanh or identity.
        chrono: the longest dependency expected, see `LSTM`.

    Raises:
        ValueError: `coupled` without an input or a forget gate; `chrono` or another `forget_bias` without a
            forget gate; `peepholes` without any gate.

    Source: Greff et al. (2017), "LSTM: a search space odyssey", section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_bias: float = FORGET_BIAS,
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
        if chrono is not None and not forget_gate:
            raise ValueError(f"chrono={chrono} sets the forget gate, and forget_gate=false removes it.")
        if coupled and not (input_gate and forget_gate):
            raise ValueError(
                "coupled=true makes one gate of another: it needs input_gate=true, forget_gate=true."
            )
        if forget_bias != FORGET_BIAS and (coupled or not forget_gate):
            raise ValueError(
                f"forget_bias={forget_bias} has no gate of its own to act on, as "
                f"{'coupled is true' if coupled else 'forget_gate is false'}; leave it out."
            )
        if peepholes and not (input_gate or forget_gate or output_gate):
            raise ValueError("peepholes=true lets gates see the state, and there is no gate; keep one.")
        present = {"g": input_gate, "f": forget_gate and not coupled, "candidate": True, "q": output_gate}
        blocks = tuple(block for block, is_present in present.items() if is_present)
        # LSTM's own constructor makes all four blocks.
        AffineCell.__init__(self, input_size, hidden_size, blocks)
        self.gates = tuple(block for block in blocks if block != "candidate")
        self.coupled = coupled
        self.candidate = candidate
        self.output = output
        self.p = nn.Parameter(torch.empty(len(self.gates), hidden_size)) if peepholes else None
        self.has_native = len(blocks) == 4 and not peepholes and (candidate, output) == ("tanh", "tanh")
        self.init_weights(recurrent_init)
        if self.p is not None:
            init_uniform(self.p, hidden_size)
        self.init_biases(forget_bias, chrono)

    def explained_by(self) -> type[nn.Module]:
        return LSTM if self.has_native else LSTMVariant  # which nothing is removed from, or added to

    def time_scales(self) -> str | None:
        if self.coupled:
            return time_constants(torch.sigmoid(-self.bias("g")))
        return super().time_scales() if "f" in self.blocks else "a state that is never forgotten"

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        if self.has_native:  # nothing is removed, added or replaced
            return super().step(projected, state)
        h, s = state
        sums = torch.addmm(projected, h, self.W.t()).chunk(len(self.blocks), dim=-1)
        a = dict(zip(self.blocks, sums, strict=True))
        candidate = ACTIVATIONS[self.candidate](a["candidate"])
        g = self._gate("g", a, s)
        f = 1 - g if self.coupled else self._gate("f", a, s)
        s = f * s + g * candidate
        h = ACTIVATIONS[self.output](s) * self._gate("q", a, s)
        return h, (h, s)

    def _gate(self, name: str, a: dict[str, Tensor], s: Tensor) -> Tensor | float:
        if name not in a:
            return 1.0
        if self.p is None:
            return torch.sigmoid(a[name])
        return torch.sigmoid(a[name] + self.p[self.gates.index(name)] * s)
