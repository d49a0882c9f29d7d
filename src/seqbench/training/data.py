"""Feeding a task to Lightning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import lightning as L
import torch
from torch.utils._pytree import tree_map

from seqbench.tasks.base import Task, generator
from seqbench.tasks.batch import Batch

#: Optimisation steps handed to Lightning at once, so that its cost per batch is shared among them.
STEPS_PER_CALL = 20
#: Sequences evaluated at once; it bounds memory and leaves the numbers alone.
EVAL_BATCH = 250


class TrainingStream:
    """The training batches of several seeds, side by side; one pass goes to the next evaluation.

    It yields lists of batches, one for each optimisation step, whose tensors are (K, B, …).

    Args:
        task: what is learnt.
        seeds: the runs' seeds.
        batch_size: sequences of one step, all devices together.
        start: the step to begin at.
        eval_every: steps between evaluations.
        max_steps: the last step.
        steps_per_call: batches of one list.
        forcing: gives the rate of teacher forcing at a step, for models that are fed their outputs.
    """

    def __init__(
        self,
        task: Task,
        seeds: Sequence[int],
        batch_size: int,
        start: int,
        eval_every: int,
        max_steps: int,
        steps_per_call: int = STEPS_PER_CALL,
        forcing: Callable[[int], float] | None = None,
    ) -> None:
        self.step = start
        self.eval_every = eval_every
        self.max_steps = max_steps
        self.steps_per_call = steps_per_call
        self._first = [
            partial(forced_batches, task, seed, batch_size, forcing=forcing or (lambda step: 1.0))
            for seed in seeds
        ]
        self._streams = [first(start) for first in self._first]

    def example(self) -> Batch:
        """Return the first batch of all; it does not count as taken."""
        return side_by_side([next(first(self.step)) for first in self._first])

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the streams of these seeds alone."""
        self._streams = [self._streams[k] for k in rows]

    def __iter__(self) -> Iterator[list[Batch]]:
        stop = min(self.max_steps, self.step + self.eval_every - self.step % self.eval_every)
        while self.step < stop:
            count = min(self.steps_per_call, stop - self.step)
            self.step += count
            yield [side_by_side([next(stream) for stream in self._streams]) for _ in range(count)]


def forced_batches(
    task: Task, seed: int, batch_size: int, start: int = 0, *, forcing: Callable[[int], float]
) -> Iterator[Batch]:
    """Yield a run's training batches; where the truth is fed is drawn from a stream of the run's own."""
    for step, batch in enumerate(task.train_batches(seed, batch_size, start), start):
        rate = forcing(step)
        if rate == 1:
            yield batch
        else:
            steps = batch.targets if task.targets.per_step else batch.inputs
            coins = torch.rand(steps.shape[:2], generator=generator("train", seed, step, 1))
            yield batch.with_extras(teacher_mask=coins < rate)


def side_by_side(batches: Sequence[Batch]) -> Batch:
    """Stack batches of one shape along a new first dimension."""
    if len(batches) == 1:
        return batches[0].map(lambda part: part[None])
    stacked: Batch = tree_map(lambda *parts: None if parts[0] is None else torch.stack(parts), *batches)
    return stacked


class EvaluationSet:
    """A fixed set in pieces. (Lightning would take a bare list of batches for several loaders.)"""

    def __init__(self, batch: Batch) -> None:
        self._pieces = batch.split(EVAL_BATCH)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)


class TaskData(L.LightningDataModule):
    """A task's three splits as Lightning asks for them."""

    def __init__(self, task: Task, stream: TrainingStream) -> None:
        super().__init__()
        self.task = task
        self.stream = stream

    def train_dataloader(self) -> TrainingStream:
        return self.stream

    def val_dataloader(self) -> EvaluationSet:
        return EvaluationSet(self.task.validation())

    def test_dataloader(self) -> list[EvaluationSet]:
        """Return the test set of each of the task's `eval_lengths`."""
        return [EvaluationSet(self.task.test(length)) for length in self.task.eval_lengths]
