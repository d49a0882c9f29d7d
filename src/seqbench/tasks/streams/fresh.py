"""Tasks whose sequences are drawn afresh."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.base import Task, generator
from seqbench.tasks.batch import Batch

#: Optimisation steps whose batches are drawn together; the i-th batch of a run depends on it.
STEPS_PER_DRAW = 16


class SyntheticTask(Task):
    """A task whose sequences are drawn afresh: training never sees a batch twice.

    Args:
        length: steps of a training sequence.
        eval_lengths: lengths of the test sets; None means `length` alone.
        eval_size: sequences of the validation set, and of each test set.
        min_length: the length of the shortest meaningful sequence.

    Raises:
        ConfigError: a length or `eval_size` is too small, or a length to test at occurs twice.
    """

    def __init__(
        self, length: int, eval_lengths: Sequence[int] | None, eval_size: int, *, min_length: int
    ) -> None:
        self.length = length
        self.eval_lengths = (length,) if eval_lengths is None else tuple(eval_lengths)
        self.eval_size = eval_size
        for key, value in self._lengths():
            if value < min_length:
                raise ConfigError(
                    f"task.{key}={value} is too short for this task; it needs at least {min_length} steps."
                )
        if not 0 < len(self.eval_lengths) == len({*self.eval_lengths}):
            raise ConfigError(
                f"task.eval_lengths={list(self.eval_lengths)} must name at least one length, and each once; "
                "null tests at task.length."
            )
        if eval_size < 1:
            raise ConfigError(f"task.eval_size={eval_size} leaves nothing to evaluate on; give at least 1.")

    def check_even(self, reason: str) -> None:
        """Raise a ConfigError if a length is odd; `reason` says why that cannot be."""
        for key, value in self._lengths():
            if value % 2:
                raise ConfigError(f"task.{key}={value} is odd, and {reason}; give {value + 1}.")

    def _lengths(self) -> list[tuple[str, int]]:
        """Return every length with the key that sets it."""
        return [("length", self.length), *(("eval_lengths", length) for length in self.eval_lengths)]

    @abstractmethod
    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        """Draw `batch_size` fresh sequences of `length` steps."""

    def sample_training(self, generator: torch.Generator, batch_size: int) -> Batch:
        """Draw sequences for training and validation: of `length` steps, unless a task mixes lengths."""
        return self.sample(generator, batch_size, self.length)

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        draw, skip = divmod(start, STEPS_PER_DRAW)
        while True:
            drawn = self.sample_training(generator("train", seed, draw), STEPS_PER_DRAW * batch_size)
            yield from drawn.split(batch_size)[skip:]
            draw, skip = draw + 1, 0

    def validation(self) -> Batch:
        return self.sample_training(generator("validation"), self.eval_size)

    def test(self, length: int) -> Batch:
        return self.sample(generator("test", length), self.eval_size, length)
