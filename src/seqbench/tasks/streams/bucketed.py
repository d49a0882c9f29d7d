"""What tasks over a fixed data set of sequences of many lengths share: batches of similar ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor

from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.fixed import DataTask


class BucketTask(DataTask):
    """A task whose training batches hold rows of similar length, so that there is hardly any padding.

        rows by length   2 2 3 3 3 | 3 4 4 4 4 | 5 5 6 7 9       three batches of five, padded to 3, 4 and 9

    In an epoch each row comes once, but for a few, fewer than a batch, which are other ones each time. The
    seed draws which of the rows of one length share a batch. What lengths are in a batch depends on the step
    alone: it has one shape for all seeds, so that they can go side by side.
    """

    @property
    @abstractmethod
    def sizes(self) -> Int[Tensor, "N K"]:
        """The lengths of each training row, such as of its source and its target; the first rules."""

    @abstractmethod
    def cut(self, batch: Batch, *size: int) -> Batch:
        """Return a training batch without the padding beyond the largest of its `sizes`."""

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        self.prepare(batch_size)
        sizes = self.sizes
        steps = len(sizes) // batch_size
        epoch, skip = divmod(start, steps)
        while True:
            shared = generator("train", epoch)
            places = torch.randperm(len(sizes), generator=shared)[: steps * batch_size].sort().values
            buckets = by_size(sizes, generator("train", seed, epoch))[places].view(steps, batch_size)
            for rows in buckets[torch.randperm(steps, generator=shared)][skip:]:
                batch = self.train.map(partial(torch.index_select, dim=0, index=rows))
                yield self.cut(batch, *sizes[rows].amax(0).tolist())
            epoch, skip = epoch + 1, 0


def by_size(sizes: Int[Tensor, "N K"], generator: torch.Generator) -> Int[Tensor, " N"]:
    """Return the rows from the smallest to the largest; those of one size stand in a random order."""
    order = torch.randperm(len(sizes), generator=generator)
    for length in reversed(sizes.unbind(1)):
        order = order[length[order].argsort(stable=True)]
    return order
