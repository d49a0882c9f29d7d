"""Dropout: which numbers of a training step are kept, as data that are drawn beside the batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Dropout(NamedTuple):
    """The dropout of a model, of what goes up from layer to layer and not from step to step.

    A model draws no random number. Its masks are an extra of the training batch, drawn by the generator of
    the seed and the step: so they are the same in any company, on any devices, and after a stop. Where a
    batch has none, as in an evaluation, all is kept.

    rate: the share that is set to zero, in [0, 1). What is kept is divided by 1 − `rate`.
    sizes: numbers of a step in each of the tensors (B, T, H) that are masked, in order.

    Source: Zaremba, Sutskever & Vinyals (2014), "Recurrent neural network regularization".
    """

    rate: float
    sizes: tuple[int, ...]

    def draw(self, rows: int, steps: int, generator: torch.Generator) -> Bool[Tensor, "B T D"]:
        """Return the mask of a batch, true for what is kept; D is the sum of `sizes`."""
        return torch.rand(rows, steps, sum(self.sizes), generator=generator) >= self.rate

    def scales(self, mask: Bool[Tensor, "B T D"], dtype: torch.dtype) -> tuple[Float[Tensor, "B T H"], ...]:
        """Return what each of the tensors is multiplied by."""
        scales: tuple[Tensor, ...] = torch.split(mask.to(dtype) / (1 - self.rate), list(self.sizes), dim=-1)
        return scales
