"""The reservoir of an echo state network: a recurrence that is drawn once and never learnt."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.init import keep_some, set_spectral_radius
from seqbench.models.unfold import Cell, State


class EchoState(Cell):
    """Many fixed, random units, whose state is an echo of the input's history; a readout picks what it needs.

        u(t) = tanh(b + W h(t−1) + U x(t))
        h(t) = α h(t−1) + (1−α) u(t)

          h(t−1) ──┬────────────α────────────┐
                   └──W──▶(+)──tanh──(1−α)──▶(+)──▶ h(t) ──▶ output
                           ▲
          x(t) ─────U──────┘                              U, W, b as they were drawn

    The spectral radius of W says how long the echo lasts: below 1, and for many inputs a little above, the
    state forgets its beginning. With α = 0 the units do not leak.

    Frozen parameters U (H, F) and b (H) from U(−scale, scale), W (H, H) normal, of which `connectivity`
    stays. The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        spectral_radius: that of W.
        input_scale: largest number in U.
        bias_scale: largest number in b.
        connectivity: share of W that is not zero.
        alpha: α, what a unit keeps of its state at a step.

    Raises:
        ValueError: a spectral radius or connectivity that leaves W zero, a connectivity above 1, α outside
            [0, 1), a negative scale.

    Source: Jaeger (2001), "The echo state approach"; Jaeger & Haas (2004); section 10.8 of the book.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        spectral_radius: float = 0.9,
        input_scale: float = 1.0,
        bias_scale: float = 0.2,
        connectivity: float = 1.0,
        alpha: float = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not spectral_radius > 0:
            raise ValueError(f"spectral_radius={spectral_radius} leaves no recurrence; give one above 0.")
        if not 0 < connectivity <= 1:
            raise ValueError(
                f"connectivity={connectivity} must be at most 1, and above 0: a matrix of zeros has no "
                "spectral radius to set."
            )
        if not 0 <= alpha < 1:
            raise ValueError(f"alpha={alpha} must lie in [0, 1); a unit at 1 never changes.")
        for name, scale in [("input_scale", input_scale), ("bias_scale", bias_scale)]:
            if scale < 0:
                raise ValueError(f"{name}={scale} must be 0 or more.")
        self.alpha = alpha
        self.U = nn.Parameter(torch.empty(hidden_size, input_size).uniform_(-1, 1) * input_scale)
        self.W = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(hidden_size).uniform_(-1, 1) * bias_scale)
        keep_some(self.W.data, max(1, round(connectivity * hidden_size)))
        set_spectral_radius(self.W.data, spectral_radius)
        self.requires_grad_(False)

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps H"]:
        return nn.functional.linear(x, self.U, self.b)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        u = torch.tanh(torch.addmm(projected, h, self.W.t()))
        h = torch.lerp(u.to(h.dtype), h, self.alpha)
        return h, (h,)

    def initial_state(self, batch_size: int) -> State:
        return (self.W.new_zeros(batch_size, self.hidden_size),)
