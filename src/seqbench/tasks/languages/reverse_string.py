"""Reverse string: read a string, then output it backwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask


class ReverseString(ExtrapolationTask):
    """Output a string of bits backwards, at as many blanks as it has bits.

        input    1 1 0 _ _ _        _ blank
        target         0 1 1        targets count at the blanks only

    The last bit in is the first out: a stack solves it, a finite-state machine does not. A deterministic
    context-free task of Delétang et al. (2023), whose strings are of bits as well.

    Args:
        length: the most bits of a training string; they have 1 to T, equally likely. A sequence of n bits has
            2n steps.
        eval_lengths: lengths of strings to test at; all strings of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = "bits"
    inputs = Tokens(3)
    targets = Classes(2, per_step=True)

    @property
    def steps(self) -> int:
        return 2 * self.length

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return "01_", "01"

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        bits = torch.randint(2, (len(lengths), longest), generator=generator)
        blank = torch.full_like(bits, 2)
        n, t = lengths[:, None], torch.arange(2 * longest)
        inputs = torch.where(t < n, torch.cat([bits, blank], dim=1), 2)
        mask = (t >= n) & (t < 2 * n)
        # The target of step n + k is bit n − 1 − k.
        targets = bits.gather(1, torch.where(mask, 2 * n - 1 - t, 0)) * mask
        return Batch(inputs, targets, mask=mask, lengths=2 * lengths)

    def baseline_loss(self, length: int) -> float:
        """Return log 2."""
        return math.log(2)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5}
