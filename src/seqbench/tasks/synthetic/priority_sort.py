"""Priority sort: say random vectors again in the order of the numbers that came with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Bits, Vectors
from seqbench.tasks.streams.fresh import SyntheticTask


class PrioritySort(SyntheticTask):
    """Say the vectors of highest priority again, the highest first, once a mark has ended them.

                    four vectors of two bits, of which three are due; targets count after the mark alone
        bit 1        1   0   0   1  . . . .
        bit 2        1   0   1   0  . . . .
        priority   −0.3 0.8 0.1 0.4 . . . .
        mark         .   .   .   .  1 . . .
        target 1     .   .   .   .  . 0 1 0
        target 2     .   .   .   .  . 0 0 1

    Priorities are from U[−1, 1]. Section 4.5 of Graves, Wayne & Danihelka (2014), with 20 vectors of 8 bits,
    of which 16 are due.

    Args:
        length: vectors of a training sequence. With n of them, of which m are due, it has n + 1 + m steps.
        sorted: vectors that are due.
        eval_lengths: vectors of the sequences to test at, of which as many are due.
        eval_size: sequences to evaluate on.
        bits: of a vector.
    """

    metric = "bit_errors"
    solved_when = "under 1 % of the bits of a sequence wrong (no mark is published)"

    def __init__(
        self,
        length: int = 20,
        sorted: int = 16,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        bits: int = 8,
    ) -> None:
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=1)
        if bits < 1:
            raise ConfigError(f"task.bits={bits} leaves nothing to sort; give at least 1.")
        fewest = min(length, *self.eval_lengths)
        if not 1 <= sorted <= fewest:
            raise ConfigError(
                f"task.sorted={sorted} vectors cannot be due of the {fewest} that a sequence has; "
                f"give 1 to {fewest}."
            )
        self.variant = f"{sorted} of {bits} bits"
        self.sorted = sorted
        self.bits = bits
        self.inputs = Vectors(bits + 2)
        self.targets = Bits(bits, per_step=True)

    @property
    def steps(self) -> int:
        return self.length + 1 + self.sorted

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        vectors = torch.randint(2, (batch_size, length, self.bits), generator=generator).float()
        priorities = torch.rand(batch_size, length, generator=generator) * 2 - 1
        steps = length + 1 + self.sorted
        inputs = torch.zeros(batch_size, steps, self.bits + 2)
        targets = torch.zeros(batch_size, steps, self.bits)
        inputs[:, :length, : self.bits] = vectors
        inputs[:, :length, self.bits] = priorities
        inputs[:, length, self.bits + 1] = 1
        due = priorities.topk(self.sorted).indices  # the highest first
        targets[:, length + 1 :] = vectors[torch.arange(batch_size)[:, None], due]
        mask = (torch.arange(steps) > length).expand(batch_size, -1)
        return Batch(inputs, targets, mask=mask)

    def baseline_loss(self, length: int) -> float:
        """Return log 2."""
        return math.log(2)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["bit_errors"] < 0.01 * self.sorted * self.bits
