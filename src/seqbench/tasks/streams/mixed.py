"""What tasks share whose training batches are each of one size, drawn for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import count

import torch

from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.fresh import SyntheticTask


class MixedSizesTask(SyntheticTask):
    """A task that is trained at all sizes up to `length`, and evaluated at exact ones.

    All sequences of a training batch are of one size, as in Graves, Wayne & Danihelka (2014): nothing is
    padded, and a step costs what its size does. The size depends on the step alone, so that the seeds of a
    job can go side by side. Validation is at `length`, the longest that training knows; longer
    `eval_lengths` show what goes on beyond it.
    """

    @abstractmethod
    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        """Draw the size of a training batch: a length, and what else there is."""

    @abstractmethod
    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Draw sequences of one size."""

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        return self.draw(generator, batch_size, length)

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        for step in count(start):
            size = self.size(generator("train", step))
            yield self.draw(generator("train", seed, step), batch_size, *size)


def uniform(generator: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))
