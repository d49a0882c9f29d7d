"""Reverse string: read a string, then say it backwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask


class ReverseString(ExtrapolationTask):
    """Say a string of bits backwards, while blanks are read, as many as there were bits.

        input    1 1 0 _ _ _        _ blank
        target         0 1 1        targets count at the blanks alone

    The last to come in is the first to go out: a stack does it, and a finite state does not. A deterministic
    context-free task of Delétang et al. (2023), whose strings are of bits as well.

    Args:
        length: the most bits of a training string; they have 1 to T, equally likely. A sequence of n bits has
            2n steps.
        eval_lengths: lengths of strings to test at, each of all strings of that test.
        eval_size: sequences to evaluate on.
    """

    def __init__(
        self, length: int = 40, eval_lengths: Sequence[int] | None = None, eval_size: int = 1000
    ) -> None:
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size)
        self.variant = "bits"
        self.inputs = Tokens(3)
        self.targets = Classes(2, per_step=True)

    @property
    def steps(self) -> int:
        return 2 * self.length

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        bits = torch.randint(2, (len(lengths), longest), generator=generator)
        blank = torch.full_like(bits, 2)
        n, t = lengths[:, None], torch.arange(2 * longest)
        inputs = torch.where(t < n, torch.cat([bits, blank], dim=1), 2)
        mask = (t >= n) & (t < 2 * n)
        # Step n + k says bit n − 1 − k.
        targets = bits.gather(1, torch.where(mask, 2 * n - 1 - t, 0)) * mask
        return Batch(inputs, targets, mask=mask, lengths=2 * lengths)

    def baseline_loss(self, length: int) -> float:
        """Return log 2."""
        return math.log(2)
