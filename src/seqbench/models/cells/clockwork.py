"""The clockwork RNN: groups of units that work at different rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit
from seqbench.models.unfold import State

PERIODS = (1, 2, 4, 8, 16, 32, 64)


class ClockworkRNN(AffineCell):
    """Groups of units, each with a period p: a group is updated only at the steps that p divides.

        h_i(t) = tanh(b_i + Σ_j W_ij h_j(t−1) + Σ_k U_ik x_k(t))   where the period of i divides t
        h_i(t) = h_i(t−1)                                          elsewhere

          period 4   h ─────────────▶ h ─────────────▶ h       t = 0, 4, 8
                       ╲                ╲
          period 2   h ───▶ h ───▶ h ───▶ h ───▶ h             t = 0, 2, 4, 6, 8
                       ╲      ╲
          period 1   h ▶ h ▶ h ▶ h ▶ h ▶ h ▶ h ▶ h ▶ h         every step

    A unit is connected to units of its own and of longer periods only. This replaces edges of length one by
    longer ones.

    Parameters U (H, F), W (H, H), b (H); the entries of W from shorter to longer periods are masked, and
    dead. The state is h and the step t.

    Args:
        input_size: F.
        hidden_size: H, divided into groups of nearly equal size, in the order of their periods.
        periods: p of each group.
        recurrent_init: how W starts, see `init_recurrent`.

    Raises:
        ValueError: `periods` is empty or has a number below 1; or, from `check_length`, there are fewer units
            than periods that were given.

    Source: Koutník, Greff, Gomez & Schmidhuber (2014), "A clockwork RNN", section 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        periods: Sequence[int] = PERIODS,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not periods or min(periods) < 1:
            raise ValueError(f"periods={list(periods)} must be whole numbers of at least 1.")
        self.periods = tuple(periods)
        self.init_weights(recurrent_init)
        # Unit i belongs to group ⌊i G / H⌋; with H < G the longest periods have no unit.
        ordered, groups = sorted(periods), len(periods)
        self._periods = [ordered[i * groups // max(hidden_size, groups)] for i in range(hidden_size)]
        self.period: Tensor
        self.heard: Tensor
        self.register_buffer("period", torch.tensor(self._periods, dtype=self._counts))
        self.register_buffer("heard", (self.period[None, :] >= self.period[:, None]).to(self.W.dtype))

    @property
    def _counts(self) -> torch.dtype:
        """What counts steps: bfloat16 has no whole number beyond 256 for each step."""
        return torch.promote_types(self.W.dtype, torch.float32)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ClockworkRNN:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.period = torch.tensor(self._periods, dtype=self._counts, device=self.W.device)
        return self

    def check_length(self, steps: int) -> None:
        if self.periods != PERIODS and len(self.periods) > self.hidden_size:
            raise ValueError(
                f"periods={list(self.periods)} has {len(self.periods)} numbers for {self.hidden_size} units, "
                "and the longest have no unit; give fewer, or more units."
            )

    def time_scales(self) -> str | None:
        return f"periods of {', '.join(map(str, dict.fromkeys(self._periods)))} steps"

    @property
    def masked_weight(self) -> Float[Tensor, "H H"]:
        """W with zeros from shorter to longer periods."""
        return self.heard * self.W

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        h, t = state
        moved = torch.tanh(torch.addmm(projected, h, self.masked_weight.t()))
        h = torch.where(torch.remainder(t, self.period) == 0, moved.to(h.dtype), h)
        return h, (h, t + 1)

    def initial_state(self, batch_size: int) -> State:
        return *super().initial_state(batch_size), self.period.new_zeros(batch_size, 1)

    def dead_entries(self) -> dict[str, Tensor]:
        period = torch.tensor(self._periods, device="cpu")
        return {"W": period[None, :] < period[:, None]}

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"W": self.masked_weight}
