"""Priority sort: output random vectors in the order of their priorities."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.synthetic.base import BitVectorTask, answer_mask


class PrioritySort(BitVectorTask):
    """Output the vectors of highest priority, the highest first, after a mark has ended the sequence.

                    four vectors of two bits, of which three are due; targets count after the mark only
        bit 1        1   0   0   1  . . . .
        bit 2        1   0   1   0  . . . .
        priority   −0.3 0.8 0.1 0.4 . . . .
        mark         .   .   .   .  1 . . .
        target 1     .   .   .   .  . 0 1 0
        target 2     .   .   .   .  . 0 0 1

    Priorities are from U[−1, 1]. Section 4.5 of Graves, Wayne & Danihelka (2014), with 20 vectors of 8 bits,
    of which 16 are due.

    Args:
        length: vectors of a training sequence. With n vectors, of which m are due, it has n + 1 + m steps.
        sorted: vectors that are due.
        eval_lengths: vectors of the sequences to test at; as many are due.
        eval_size: sequences to evaluate on.
        bits: bits of a vector.
    """

    solved_when = "under 1 % of the bits of a sequence wrong (no mark is published)"
    verb = "sort"

    def __init__(
        self,
        length: int = 20,
        sorted: int = 16,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        bits: int = 8,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, bits, marks=2)
        fewest = min(length, *self.eval_lengths)
        if not 1 <= sorted <= fewest:
            raise ConfigError(
                f"task.sorted={sorted} vectors cannot be due of the {fewest} that a sequence has "
                f"(task.length, task.eval_lengths); give 1 to {fewest}."
            )
        self.variant = f"{sorted} of {bits} bits"
        self.sorted = sorted
        self.solved_below = 0.01 * sorted * bits

    @property
    def steps(self) -> int:
        return self.length + 1 + self.sorted

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        vectors = self.vectors(generator, batch_size, length)
        priorities = torch.rand(batch_size, length, generator=generator) * 2 - 1
        steps = length + 1 + self.sorted
        inputs, targets = self.blank(batch_size, steps)
        inputs[:, :length, : self.bits] = vectors
        inputs[:, :length, self.bits] = priorities
        inputs[:, length, self.bits + 1] = 1
        due = priorities.topk(self.sorted).indices  # the highest first
        targets[:, length + 1 :] = vectors[torch.arange(batch_size)[:, None], due]
        return Batch(inputs, targets, mask=answer_mask(batch_size, steps, start=length + 1))

    def chance(self, length: int) -> dict[str, float]:
        return {"bit_errors": self.sorted * self.bits / 2}
