"""Even pairs: decide whether a string changes an even number of times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask


class EvenPairs(ExtrapolationTask):
    """Decide whether the number of pairs 01 and 10 in a string of bits is odd.

        input  0 1 0 1 0 0 1      class 1 (01, 10, 01, 10, 01: odd) after the last step

    It is odd exactly where the last bit differs from the first, which is all that has to be kept. A regular
    language of Delétang et al. (2023). Theirs (mean accuracy at lengths of 41 to 500, best of ten seeds, from
    memory): RNN, stack RNN, tape RNN and LSTM 100, transformer 96.4.

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
        last = bits.gather(1, lengths[:, None] - 1)[:, 0]
        return Batch(bits, (bits[:, 0] != last).long(), lengths=lengths)

    def baseline_loss(self, length: int) -> float:
        """Return log 2: half of the strings are odd; none of one bit is."""
        return math.log(2) if length > 1 else 0.0

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5 if length > 1 else 1.0}
