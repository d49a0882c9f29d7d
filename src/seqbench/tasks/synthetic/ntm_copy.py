"""The copy task of the Neural Turing Machine: read vectors of bits, then say them again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Bits, Vectors
from seqbench.tasks.streams.mixed import MixedSizesTask, uniform


class NTMCopy(MixedSizesTask):
    """Say a sequence of random vectors again, once a mark has ended it.

                  three vectors of two bits; targets count after the mark alone
        bit 1     1 0 1 . . . .
        bit 2     0 0 1 . . . .
        mark      . . . 1 . . .
        target 1  . . . . 1 0 1
        target 2  . . . . 0 0 1

    Nothing is read while the answer is given: all of it must have been kept. Section 4.1 of Graves, Wayne &
    Danihelka (2014), with 8 bits and 1 to 20 vectors.

    Args:
        length: the most vectors of a training sequence; a batch has 1 to so many, equally likely. A sequence
            of n vectors has 2n + 1 steps.
        eval_lengths: vectors of the sequences to test at.
        eval_size: sequences to evaluate on.
        bits: of a vector.
    """

    metric = "bit_errors"
    solved_when = (
        "under 0.1 bit errors per sequence of the longest that training knows (Collier & Beel, 2018)"
    )

    def __init__(
        self,
        length: int = 20,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        bits: int = 8,
    ) -> None:
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=1)
        if bits < 1:
            raise ConfigError(f"task.bits={bits} leaves nothing to copy; give at least 1.")
        self.variant = f"{bits} bits"
        self.bits = bits
        self.inputs = Vectors(bits + 1)
        self.targets = Bits(bits, per_step=True)

    @property
    def steps(self) -> int:
        return 2 * self.length + 1

    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        return (uniform(generator, 1, self.length),)

    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        (length,) = size
        vectors = torch.randint(2, (batch_size, length, self.bits), generator=generator).float()
        inputs = torch.zeros(batch_size, 2 * length + 1, self.bits + 1)
        targets = torch.zeros(batch_size, 2 * length + 1, self.bits)
        inputs[:, :length, : self.bits] = vectors
        inputs[:, length, self.bits] = 1
        targets[:, length + 1 :] = vectors
        mask = (torch.arange(2 * length + 1) > length).expand(batch_size, -1)
        return Batch(inputs, targets, mask=mask)

    def baseline_loss(self, length: int) -> float:
        """Return log 2."""
        return math.log(2)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["bit_errors"] < 0.1
