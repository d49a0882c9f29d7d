"""sLSTM, the recurrent cell of xLSTM: an LSTM with exponential gates and a normaliser."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.affine import AffineCell
from seqbench.models.cells.matrix_state import check_heads, check_norm, layer_norm
from seqbench.models.cells.mlstm import FORGET_BIAS, spread
from seqbench.models.init import RecurrentInit, time_constants
from seqbench.models.sizes import check_width
from seqbench.models.unfold import State

#: The stabiliser before the first step: below every exponent.
BELOW = -1e4


class SLSTM(AffineCell):
    """An LSTM whose input gate is exponential, and whose state is divided by the sum of its gates.

        i(t) = bⁱ + Uⁱ x(t) + Wⁱ s(t−1)                                      (16)
        f(t) = σ(bᶠ + Uᶠ x(t) + Wᶠ s(t−1))
        z(t) = tanh(b + U x(t) + W s(t−1)),   o(t) = σ(bᵒ + Uᵒ x(t) + Wᵒ s(t−1))       (11), (14)
        c(t) = f(t) ⊙ c(t−1) + exp(i(t)) ⊙ z(t)                              (8)
        n(t) = f(t) ⊙ n(t−1) + exp(i(t))                                     (9)
        s(t) = o(t) ⊙ c(t) ⊘ n(t)                                            (10)
        h(t) = g ⊙ norm(s(t))                           layer norm over each head

    c and n are held over exp(m(t)), where m(t) = max(log f(t) + m(t−1), i(t)) is the largest exponent so far
    (15). In A heads each W is block-diagonal: units see those of their head.

    Parameters U (4H, F), W (4H, H), b (4H) stack i, f, z, o; g (H). The state is s, c, n, m. Both c and n
    have the factor exp(bⁱ), so that bⁱ has no effect; it is there for the form.

    Args:
        input_size: F.
        hidden_size: H.
        heads: A, a divisor of H.
        forget_bias: bᶠ of the first and of the last unit of a head at the start.
        recurrent_init: how each block of W starts, see `init_recurrent`.

    Raises:
        ValueError: heads that do not divide H or of one number, or forget biases that are not two.

    Source: Beck et al. (2024), "xLSTM: extended long short-term memory", section 2.2 and appendix A.2, with a
    sigmoid for f and the norm of the paper's block (Fig. 10), without its convolution.
    """

    state_vectors = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 1,
        forget_bias: Sequence[float] = FORGET_BIAS,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        check_heads(heads, hidden_size=hidden_size)
        check_norm(heads, hidden_size)
        super().__init__(input_size, hidden_size, blocks=("i", "f", "z", "o"))
        self.init_weights(recurrent_init)
        self.heads = heads
        self.g = nn.Parameter(torch.ones(hidden_size))
        self.bias("f").copy_(spread(forget_bias, hidden_size // heads).repeat(heads))
        self.own: Tensor | None
        own = _same_head(hidden_size, heads).repeat(4, 1).to(self.W) if heads > 1 else None
        self.register_buffer("own", own, persistent=False)

    def time_scales(self) -> str | None:
        return time_constants(torch.sigmoid(self.bias("f")))

    @property
    def masked_weight(self) -> Float[Tensor, "rows H"]:
        """W with zeros between units of different heads."""
        return self.W if self.own is None else self.own * self.W

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        s, c, n, m = state
        i, f, z, o = torch.addmm(projected, s, self.masked_weight.t()).chunk(4, dim=-1)
        kept = m - nn.functional.softplus(-f)  # log σ(f) = −softplus(−f)
        m = torch.maximum(kept, i)
        forget, take = torch.exp(kept - m), torch.exp(i - m)
        c = forget * c + take * torch.tanh(z)
        n = forget * n + take
        s = torch.sigmoid(o) * c / n
        return self._normed(s), (s, c, n, m)

    def _normed(self, s: Tensor) -> Tensor:
        if self.heads == 1:
            return self.g * layer_norm(s)
        return self.g * layer_norm(torch.unflatten(s, -1, (self.heads, -1))).flatten(-2)

    def initial_state(self, batch_size: int) -> State:
        zeros = self.U.new_zeros(batch_size, self.hidden_size)
        return zeros, zeros, zeros, torch.full_like(zeros, BELOW)

    def output_of(self, projected: Tensor | None, state: State) -> Tensor | None:
        return self._normed(state[0])

    def check_length(self, steps: int) -> None:
        check_width(self.hidden_size)

    def dead_entries(self) -> dict[str, Tensor]:
        dead = {"b": torch.arange(4 * self.hidden_size, device="cpu") < self.hidden_size}
        if self.heads > 1:
            dead["W"] = ~_same_head(self.hidden_size, self.heads, "cpu").repeat(4, 1)
        return dead

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {f"W[{name}]": W for name, W in zip("ifzo", self.masked_weight.chunk(4), strict=True)}


def _same_head(units: int, heads: int, device: str | None = None) -> Tensor:
    """Return which units (H, H) are of the same head."""
    head = torch.arange(units, device=device) // (units // heads)
    return head[:, None] == head
