"""The clockwork RNN: groups of units that work at different rates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.init import RecurrentInit, init_recurrent, init_uniform
from seqbench.models.unfold import Cell, State


class ClockworkRNN(Cell):
    """Groups of units, each with a period p: it moves at the steps that p divides, and waits at the others.

        h_i(t) = tanh(b_i + Σ_j W_ij h_j(t−1) + Σ_k U_ik x_k(t))   where the period of i divides t
        h_i(t) = h_i(t−1)                                          elsewhere

          period 4   h ─────────────▶ h ─────────────▶ h       t = 0, 4, 8
                       ╲                ╲
          period 2   h ───▶ h ───▶ h ───▶ h ───▶ h             t = 0, 2, 4, 6, 8
                       ╲      ╲
          period 1   h ▶ h ▶ h ▶ h ▶ h ▶ h ▶ h ▶ h ▶ h         every step

    A unit hears those of its own and of longer periods, none of shorter ones. Edges of length one are thereby
    removed, and longer ones put in their place.

    Parameters U (H, F), W (H, H) of which the blocks from shorter to longer periods are never used, b (H).
    The state is h and the step t.

    Args:
        input_size: F.
        hidden_size: H; groups are as equal as can be, the shorter periods first.
        periods: p of each group.
        recurrent_init: how W starts: uniform, orthogonal or identity.

    Raises:
        ValueError: no period, or one below 1.

    Source: Koutník, Greff, Gomez & Schmidhuber (2014), "A clockwork RNN", section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        periods: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not periods or min(periods) < 1:
            raise ValueError(f"periods={list(periods)} must be whole numbers of at least 1.")
        self.U = nn.Parameter(torch.empty(hidden_size, input_size))
        self.W = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(hidden_size))
        init_uniform(self.U, hidden_size)
        init_recurrent(self.W, recurrent_init)
        # Unit i belongs to group ⌊i G / H⌋; with fewer units than groups the longest periods have none.
        ordered = torch.tensor(sorted(periods), dtype=torch.get_default_dtype())
        groups = len(periods)
        index = torch.arange(hidden_size) * groups // max(hidden_size, groups)
        self.period: Tensor
        self.heard: Tensor
        self.register_buffer("period", ordered[index])
        self.register_buffer("heard", (self.period[None, :] >= self.period[:, None]).to(self.W.dtype))

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps H"]:
        return nn.functional.linear(x, self.U, self.b)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        h, t = state
        moved = torch.tanh(torch.addmm(projected, h, (self.heard * self.W).t()))
        h = torch.where(torch.remainder(t, self.period) == 0, moved.to(h.dtype), h)
        return h, (h, t + 1)

    def initial_state(self, batch_size: int) -> State:
        return self.W.new_zeros(batch_size, self.hidden_size), self.W.new_zeros(batch_size, 1)
