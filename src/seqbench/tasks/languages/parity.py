"""Parity: say whether the ones of a string of bits are odd in number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask


class Parity(ExtrapolationTask):
    """Say, after a string of bits, whether there was an odd number of ones.

        input  1 0 1 1 0      class 1 (three ones: odd) after the last step

    Every bit counts, so that no part of the input tells anything of the target: the parity check of Delétang
    et al. (2023), a regular language.

    Args:
        length: the most bits of a training sequence; they have 1 to T, equally likely.
        eval_lengths: lengths to test at, each of all sequences of that test.
        eval_size: sequences to evaluate on.
    """

    def __init__(
        self, length: int = 40, eval_lengths: Sequence[int] | None = None, eval_size: int = 1000
    ) -> None:
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size)
        self.variant = "bits"
        self.inputs = Tokens(2)
        self.targets = Classes(2, per_step=False)

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        bits = torch.randint(2, (len(lengths), longest), generator=generator)
        bits *= torch.arange(longest) < lengths[:, None]
        return Batch(bits, bits.sum(1) % 2, lengths=lengths)

    def baseline_loss(self, length: int) -> float:
        """Return log 2: at every length half of the strings are odd."""
        return math.log(2)
