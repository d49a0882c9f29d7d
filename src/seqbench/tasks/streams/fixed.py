"""Tasks over a fixed data set."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

import torch
from torch.utils._pytree import keystr, tree_flatten_with_path

from seqbench.errors import ConfigError
from seqbench.tasks.base import Task, generator
from seqbench.tasks.batch import Batch


class DataTask(Task):
    """A task over a fixed data set, held in memory. An epoch is one pass in its own random order.

    The test set is read whole: there is one, at `length`.
    """

    #: The data set's name in messages.
    title: str
    #: The examples of the test set in messages; {} stands for `length`.
    contents: ClassVar[str]

    @abstractmethod
    def read_split(self, split: str) -> Batch:
        """Return all examples of `train`, `validation` or `test`."""

    @cached_property
    def train(self) -> Batch:
        """The training examples."""
        return self.read_split("train")

    def validation(self) -> Batch:
        return self.read_split("validation")

    def test(self, length: int) -> Batch:
        self.check_length(length)
        return self.read_split("test")

    def check_length(self, length: int) -> None:
        """Raise a ConfigError if there is no test set of this length."""
        if length != self.length:
            raise ConfigError(
                f"The test set of {self.title} is read whole, with {self.contents.format(self.length)}, so"
                f" there is none at {length}."
            )

    def fingerprint(self) -> str:
        """Return a hash of all examples as the task has read them, wherever and in whatever form they lie."""
        digest = hashlib.sha256()
        for batch in (self.train, self.read_split("validation"), self.read_split("test")):
            for path, part in tree_flatten_with_path(batch)[0]:
                if part is not None:
                    digest.update(f"{keystr(path)} {part.dtype} {tuple(part.shape)} ".encode())
                    digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def baseline_loss(self, length: int) -> float:
        """Return the cross-entropy of the test set's classes under the training set's frequencies, in nats.

        Each class counts once more than it occurs in training, so that none is impossible.
        """
        test = self.test(length).targets.tolist()
        known = Counter(self.train.targets.tolist())
        total = known.total() + self.targets.size
        return -math.fsum(math.log((known[class_] + 1) / total) for class_ in test) / len(test)

    def chance(self, length: int) -> dict[str, float]:
        """Return the accuracy on the test set of the class that is most frequent in the training set."""
        test = self.test(length).targets.tolist()
        (most, _), *_ = Counter(self.train.targets.tolist()).most_common(1)
        return {"accuracy": test.count(most) / len(test)}

    def prepare(self, batch_size: int) -> None:
        size = len(self.train.inputs)
        if batch_size > size:
            raise ConfigError(f"batch_size={batch_size} is more than the {size} training examples there are.")

    def epoch_steps(self, batch_size: int) -> int:
        return len(self.train.inputs) // batch_size

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        self.prepare(batch_size)
        size, steps = len(self.train.inputs), self.epoch_steps(batch_size)
        epoch, skip = divmod(start, steps)
        while True:
            order = torch.randperm(size, generator=generator("train", seed, epoch))
            for i in range(skip, steps):
                yield self.train.select(order[i * batch_size : (i + 1) * batch_size])
            epoch, skip = epoch + 1, 0


class LazyTask(DataTask):
    """A task whose data are read on first use: not even the length is known before."""

    @abstractmethod
    def longest(self) -> int:
        """Return the length of the longest example."""

    @property
    def length(self) -> int:  # type: ignore[override]  # elsewhere a plain attribute
        return self.longest()

    @property
    def eval_lengths(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.length,)
