"""The reservoir of an echo state network: a recurrence with fixed random weights."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import set_spectral_radius, sparsify, time_constants
from seqbench.models.unfold import State


class EchoState(AffineCell):
    """Many units with fixed random weights. Their state echoes past inputs; only a readout is trained.

        u(t) = tanh(b + W h(t−1) + U x(t))
        h(t) = α h(t−1) + (1−α) u(t)

          h(t−1) ──┬────────────α────────────┐
                   └──W──▶(+)──tanh──(1−α)──▶(+)──▶ h(t) ──▶ output
                           ▲
          x(t) ─────U──────┘                              U, W, b are not trained

    The spectral radius of W determines how long the echo lasts. Below 1, and for many inputs a little above,
    the influence of the initial state fades. With α = 0 the units do not leak.

    Frozen parameters U (H, F) and b (H), uniform in (−scale, scale), and W (H, H), normal and then made
    sparse. The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        spectral_radius: that of W.
        input_scale: bound of the entries of U.
        bias_scale: bound of the entries of b.
        connectivity: fraction of the entries of W that are not zero.
        alpha: α, the fraction of its state that a unit keeps at a step.

    Raises:
        ValueError: a spectral radius that is not positive, a connectivity outside (0, 1], α outside [0, 1),
            or a negative scale; or, from `check_length`, a connectivity of less than one unit.

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
        self.connectivity = connectivity
        self.requires_grad_(False)
        self.U.uniform_(-1, 1).mul_(input_scale)
        self.W.normal_()
        self.b.uniform_(-1, 1).mul_(bias_scale)
        sparsify(self.W, max(1, round(connectivity * hidden_size)))
        set_spectral_radius(self.W, spectral_radius)

    def check_length(self, steps: int) -> None:
        # Not of the constructor: a search for the width of a budget begins with one unit.
        if self.connectivity < 1 and round(self.connectivity * self.hidden_size) < 1:
            raise ValueError(
                f"connectivity={self.connectivity} leaves a unit no connection to {self.hidden_size} units; "
                f"give at least {1 / self.hidden_size:.2g}."
            )

    def time_scales(self) -> str | None:
        return time_constants(torch.tensor(self.alpha)) if self.alpha else None

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        u = torch.tanh(torch.addmm(projected, h, self.W.t()))
        h = torch.lerp(u.to(h.dtype), h, self.alpha)
        return h, (h,)
