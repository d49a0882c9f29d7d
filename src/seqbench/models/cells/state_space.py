"""What cells made of a continuous linear system have in common: its step size and its discretisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

#: The range that the step sizes Δ of a unit's system start in, as in S4 and its successors.
TIME_STEP = (0.001, 0.1)
#: The step sizes that can be given: single precision holds them, and what is computed of them.
SMALLEST, LARGEST = 1e-30, 1e30


def draw_log_steps(count: int, time_step: Sequence[float]) -> Tensor:
    """Draw log Δ of `count` units, uniform between the logarithms of two step sizes.

    Raises:
        ValueError: `time_step` is not a smallest and a largest one, both above 0, and in reach of single
            precision.
    """
    if len(time_step) != 2 or not SMALLEST <= time_step[0] <= time_step[1] <= LARGEST:
        raise ValueError(
            f"time_step={list(time_step)} must be the smallest and the largest step size, both above 0, and "
            f"from {SMALLEST} to {LARGEST}."
        )
    low, high = map(math.log, time_step)
    return low + (high - low) * torch.rand(count)


def inverse_softplus(x: Tensor) -> Tensor:
    """Return y with log(1 + exp y) = x."""
    return x + torch.log(-torch.expm1(-x))


def zero_order_hold(eigenvalues: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Discretise s′(t) = λ s(t) + u(t), whose input is held for Δ: return exp(λΔ) and (exp(λΔ) − 1)/λ."""
    kept = torch.exp(eigenvalues * step)
    return kept, (kept - 1) / eigenvalues
