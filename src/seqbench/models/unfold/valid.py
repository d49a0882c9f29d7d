"""The valid steps of padded sequences."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def last_valid(x: Float[Tensor, "B T H"], lengths: Int[Tensor, " B"] | None) -> Float[Tensor, "B H"]:
    """Return each row's last valid step."""
    return x[:, -1] if lengths is None else x[torch.arange(len(x), device=x.device), lengths - 1]


def reverse_valid(x: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None) -> Float[Tensor, "B T F"]:
    """Reverse the valid steps of each row; padding stays where it is."""
    if lengths is None:
        return x.flip(1)
    t = torch.arange(x.shape[1], device=x.device)
    index = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x.gather(1, index[..., None].expand_as(x))


def like(values: Tensor, part: Tensor) -> Tensor:
    """Return values with further dimensions of size 1, so that they broadcast over those of `part`."""
    return values.view(*values.shape, *[1] * (part.ndim - values.ndim))
