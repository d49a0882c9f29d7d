"""Tasks over a fixed data set whose batches hold sequences of similar lengths."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.fixed import DataTask


class BucketTask(DataTask):
    """A task whose batches hold rows of similar lengths, so that there is little padding.

        rows by length   2 2 3 3 3 | 3 4 4 4 4 | 5 5 6 7 9       three batches of five, padded to 3, 4 and 9

    An epoch visits each row once, except for less than a batch of rows, which differ from epoch to epoch.
    The seed decides which rows of one length share a batch. The lengths in a batch depend on the step alone:
    it has one shape for all seeds, so that they can run together (vectorised).
    """

    #: 2: evaluation is by length too, whose sums go another way.
    revisions: ClassVar[dict[str, int]] = {"_target_": 2}

    def sizes(self, batch: Batch) -> Int[Tensor, "B K"]:
        """Return the lengths of each row, such as source and target; rows are sorted by these in order."""
        assert batch.lengths is not None
        return batch.lengths[:, None]

    @abstractmethod
    def cut(self, batch: Batch, *size: int) -> Batch:
        """Return a batch without the padding beyond the largest of its `sizes`."""

    def parts(self, batch: Batch, size: int) -> list[Batch]:
        if len(batch.inputs) <= size:
            return [batch]
        sizes = self.sizes(batch)
        return [self._selected(batch, sizes, rows) for rows in torch.split(by_size(sizes), size)]

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        self.prepare(batch_size)
        sizes = self.sizes(self.train)
        steps = len(sizes) // batch_size
        epoch, skip = divmod(start, steps)
        while True:
            shared = generator("train", epoch)
            places = torch.randperm(len(sizes), generator=shared)[: steps * batch_size].sort().values
            buckets = by_size(sizes, generator("train", seed, epoch))[places].view(steps, batch_size)
            for rows in buckets[torch.randperm(steps, generator=shared)][skip:]:
                yield self._selected(self.train, sizes, rows)
            epoch, skip = epoch + 1, 0

    def _selected(self, batch: Batch, sizes: Int[Tensor, "N K"], rows: Int[Tensor, " B"]) -> Batch:
        """Return rows of a batch, cut to the largest of their sizes."""
        return self.cut(batch.select(rows), *sizes[rows].amax(0).tolist())


def by_size(sizes: Int[Tensor, "N K"], generator: torch.Generator | None = None) -> Int[Tensor, " N"]:
    """Return the rows from the smallest to the largest.

    Rows of one size are in random order, or without a generator in the order in which they are.
    """
    order = torch.arange(len(sizes)) if generator is None else torch.randperm(len(sizes), generator=generator)
    for length in reversed(sizes.unbind(1)):
        order = order[length[order].argsort(stable=True)]
    return order
