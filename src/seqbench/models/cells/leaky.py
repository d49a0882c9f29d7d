"""Leaky units: an RNN whose hidden units keep a running average."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit, time_constants
from seqbench.models.unfold import State


class LeakyRNN(AffineCell):
    """Hidden units with a linear self-connection α: each forgets at its own rate.

        u(t) = tanh(b + W μ(t−1) + U x(t))
        μ(t) ← α μ(t−1) + (1−α) u(t)          the chapter's leaky unit

          μ(t−1) ──┬────────────α────────────┐
                   └──W──▶(+)──tanh──(1−α)──▶(+)──▶ μ(t) ──▶ output
                           ▲
          x(t) ─────U──────┘

    α = 0 gives the plain RNN, α = 1 freezes the state. In between a unit remembers for about 1/(1−α) steps,
    its time constant. Units may have different time constants (Mozer, 1992; El Hihi & Bengio, 1996), and may
    learn them.

    Parameters U (H, F), W (H, H), b (H), and with `learn_alpha` the logit of α (H). The state is μ.

    Args:
        input_size: F.
        hidden_size: H.
        alpha: one α for all units; or a pair: the units' time constants are then spread log-uniformly
            between those of the two.
        learn_alpha: learn α of each unit, as the sigmoid of a parameter. α must start inside (0, 1).
        recurrent_init: how W starts, see `init_recurrent`.

    Raises:
        ValueError: α is outside [0, 1], or is 0 or 1 where it is learnt, or 1 where it is spread; or a pair
            is twice the same.

    Source: Goodfellow, Bengio & Courville (2016), section 10.9.2.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        alpha: float | Sequence[float] = (0.0, 0.99),
        learn_alpha: bool = False,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.init_weights(recurrent_init)
        start = spread_alpha(alpha, hidden_size)
        ends = (alpha,) if isinstance(alpha, int | float) else alpha
        if learn_alpha and not all(0 < end < 1 for end in ends):
            raise ValueError(
                f"learn_alpha=true cannot start from alpha={alpha}: it must lie inside (0, 1), ends excluded."
            )
        self._frozen = not learn_alpha and min(ends) == 1
        self.logit_alpha = nn.Parameter(torch.logit(start)) if learn_alpha else None
        self.fixed_alpha: Tensor
        self.register_buffer("fixed_alpha", None if learn_alpha else start)

    def time_scales(self) -> str | None:
        return time_constants(self.alpha)

    def dead_entries(self) -> dict[str, Tensor]:
        if not self._frozen:
            return {}
        every = {name: p.shape for name, p in self.named_parameters()}
        return {name: torch.ones(shape, dtype=torch.bool, device="cpu") for name, shape in every.items()}

    @property
    def alpha(self) -> Float[Tensor, " H"]:
        """α of every unit."""
        return self.fixed_alpha if self.logit_alpha is None else torch.sigmoid(self.logit_alpha)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (mu,) = state
        u = torch.tanh(torch.addmm(projected, mu, self.W.t()))
        mu = torch.lerp(u.to(mu.dtype), mu, self.alpha)  # under autocast u has half precision
        return mu, (mu,)


def spread_alpha(alpha: float | Sequence[float], units: int) -> Float[Tensor, " H"]:
    """Return α of every unit: the same for all, or, for a pair, with log-uniform time constants."""
    ends = (alpha, alpha) if isinstance(alpha, int | float) else tuple(alpha)
    if len(ends) != 2 or not all(0 <= end <= 1 for end in ends):
        raise ValueError(f"alpha={alpha} must lie in [0, 1], as one number or as a pair of them.")
    if isinstance(alpha, int | float):
        return torch.full((units,), float(alpha))
    if ends[0] == ends[1]:
        raise ValueError(f"alpha={list(ends)} spreads nothing; give alpha={ends[0]}.")
    if max(ends) == 1:
        raise ValueError(f"alpha={alpha} ends at a unit that never changes; give two numbers below 1.")
    first, last = (math.log(1 / (1 - end)) for end in ends)
    return 1 - torch.exp(-torch.linspace(first, last, units))
