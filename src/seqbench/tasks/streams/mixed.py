"""Tasks whose training batches have one size each, drawn per batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from itertools import count

import torch

from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.fresh import SyntheticTask


class MixedSizesTask(SyntheticTask):
    """A task that is trained at all sizes up to `length`, and evaluated at exact sizes.

    All sequences of a training batch have one size, as in Graves, Wayne & Danihelka (2014): nothing is
    padded, and a short sequence costs little. The size depends on the step alone, so that the seeds of a job
    can run together (vectorised). Validation is at `length`, the largest training size; larger
    `eval_lengths` show extrapolation.
    """

    @abstractmethod
    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        """Draw the size of a training batch: its length, and the task's other sizes."""

    @abstractmethod
    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        """Draw sequences of one size."""

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        return self.draw(generator, batch_size, length)

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        return mixed_batches(self.size, self.draw, seed, batch_size, start)


def mixed_batches(
    size: Callable[[torch.Generator], tuple[int, ...]],
    draw: Callable[..., Batch],
    seed: int,
    batch_size: int,
    start: int,
) -> Iterator[Batch]:
    """Yield the batches of a run from the step `start`; their sizes are those of every run."""
    for step in count(start):
        its = size(generator("train", step))
        yield draw(generator("train", seed, step), batch_size, *its)


def uniform(generator: torch.Generator, low: int, high: int) -> int:
    """Draw an integer from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))
