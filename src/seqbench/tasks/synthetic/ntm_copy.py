"""The copy task of the Neural Turing Machine: read vectors of bits, then repeat them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.mixed import MixedSizesTask, uniform
from seqbench.tasks.synthetic.base import BitVectorTask, answer_mask


class NTMCopy(BitVectorTask, MixedSizesTask):
    """Repeat a sequence of random vectors after a mark has ended it.

                  three vectors of two bits; targets count after the mark only
        bit 1     1 0 1 . . . .
        bit 2     0 0 1 . . . .
        mark      . . . 1 . . .
        target 1  . . . . 1 0 1
        target 2  . . . . 0 0 1

    Section 4.1 of Graves, Wayne & Danihelka (2014), with 8 bits and 1 to 20 vectors.

    Args:
        length: the most vectors of a training sequence; a batch has 1 to `length`, equally likely. A sequence
            of n vectors has 2n + 1 steps.
        eval_lengths: vectors of the sequences to test at.
        eval_size: sequences to evaluate on.
        bits: bits of a vector.
    """

    solved_when = "under 0.1 bit errors per sequence of the greatest training length (Collier & Beel, 2018)"
    solved_below = 0.1

    def __init__(
        self,
        length: int = 20,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        bits: int = 8,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, bits, marks=1)
        self.variant = f"{bits} bits"

    @property
    def steps(self) -> int:
        return 2 * self.length + 1

    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        return (uniform(generator, 1, self.length),)

    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        (length,) = size
        vectors = self.vectors(generator, batch_size, length)
        inputs, targets = self.blank(batch_size, 2 * length + 1)
        inputs[:, :length, : self.bits] = vectors
        inputs[:, length, self.bits] = 1
        targets[:, length + 1 :] = vectors
        return Batch(inputs, targets, mask=answer_mask(batch_size, 2 * length + 1, start=length + 1))

    def chance(self, length: int) -> dict[str, float]:
        return {"bit_errors": length * self.bits / 2}
