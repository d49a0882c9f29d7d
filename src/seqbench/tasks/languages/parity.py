"""Parity: decide whether the number of ones in a string of bits is odd."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask


class Parity(ExtrapolationTask):
    """Decide, after a string of bits, whether the number of ones is odd.

        input  1 0 1 1 0      class 1 (three ones: odd) after the last step

    Every bit counts, so that no part of the input alone says anything about the target. The parity check of
    Delétang et al. (2023), a regular language. Theirs (mean accuracy at lengths of 41 to 500, best of ten
    seeds, from memory): RNN, stack RNN, tape RNN and LSTM 100, transformer 52.0.

    Args:
        length: the most bits of a training sequence; they have 1 to T, equally likely.
        eval_lengths: lengths to test at; all sequences of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = "bits"
    inputs = Tokens(2)
    targets = Classes(2, per_step=False)

    @property
    def span(self) -> Span:
        """The length: the first bit counts to the end of up to so many steps."""
        return Span("length", 2, lambda length: (0, length - 1))

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return "01", ("even", "odd")

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        bits = torch.randint(2, (len(lengths), longest), generator=generator)
        bits *= torch.arange(longest) < lengths[:, None]
        return Batch(bits, bits.sum(1) % 2, lengths=lengths)

    def baseline_loss(self, length: int) -> float:
        """Return log 2: at every length half of the strings are odd."""
        return math.log(2)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5}
