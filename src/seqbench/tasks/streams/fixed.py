"""Tasks over a fixed data set."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator
from functools import partial

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.base import Task, generator
from seqbench.tasks.batch import Batch


class DataTask(Task):
    """A task over a fixed data set, held in memory; an epoch is one pass in an order of its own."""

    @property
    @abstractmethod
    def train(self) -> Batch:
        """The training examples."""

    def prepare(self, batch_size: int) -> None:
        size = len(self.train.inputs)
        if batch_size > size:
            raise ConfigError(f"batch_size={batch_size} is more than the {size} training examples there are.")

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        self.prepare(batch_size)
        size = len(self.train.inputs)
        epoch, skip = divmod(start, size // batch_size)
        while True:
            order = torch.randperm(size, generator=generator("train", seed, epoch))
            for i in range(skip, size // batch_size):
                rows = order[i * batch_size : (i + 1) * batch_size]
                yield self.train.map(partial(torch.index_select, dim=0, index=rows))
            epoch, skip = epoch + 1, 0

    def check_whole(self, length: int, of: str, holds: str) -> None:
        """Raise a ConfigError where a test set that is read whole is asked for at another length."""
        if length != self.length:
            raise ConfigError(
                f"The test set of {of} is read whole, with {holds}, so there is none at {length}."
            )


class LazyTask(DataTask):
    """A data set of which not even the length is known before it is read, on first use."""

    @abstractmethod
    def longest(self) -> int:
        """Return the length of the longest example."""

    @property
    def length(self) -> int:  # type: ignore[override]  # elsewhere an attribute that can be set
        return self.longest()

    @property
    def eval_lengths(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.length,)


def loss_by_frequency(train: Iterable[Hashable], test: Collection[Hashable], number: int) -> float:
    """Return the cross-entropy of a test set's classes under the training set's frequencies, in nats.

    Every one of the `number` classes counts once more than it comes up, so that none is impossible.
    """
    known = Counter(train)
    total = known.total() + number
    return -math.fsum(math.log((known[class_] + 1) / total) for class_ in test) / len(test)
