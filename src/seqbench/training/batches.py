"""The batches of a task, as Lightning asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import lightning as L
import torch
from torch.utils._pytree import tree_map

from seqbench.tasks.base import Task, generator
from seqbench.tasks.batch import Batch

#: Optimisation steps per call of Lightning, so that its overhead per batch is shared among them.
STEPS_PER_CALL = 20
#: Sequences evaluated at once; it bounds memory and changes no number.
EVAL_BATCH = 250


class TrainingStream:
    """The training batches of K seeds, stacked; one pass ends at the next evaluation.

    It yields lists of batches, one for each optimisation step. Their tensors are (K, B, …).

    Args:
        task: what is learnt.
        seeds: the runs' seeds.
        batch_size: sequences of one step, all devices together.
        start: the step to begin at.
        eval_every: steps between evaluations.
        max_steps: the last step.
        steps_per_call: batches of one list.
        teacher_forcing: returns the rate of teacher forcing at a step, for models that are fed their outputs.
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
        teacher_forcing: Callable[[int], float] | None = None,
    ) -> None:
        self.step = start
        self.eval_every = eval_every
        self.max_steps = max_steps
        self.steps_per_call = steps_per_call
        self._first = [
            partial(
                batches_with_teacher, task, seed, batch_size, rate_at=teacher_forcing or (lambda step: 1.0)
            )
            for seed in seeds
        ]
        self._streams = [first(start) for first in self._first]

    def example(self) -> Batch:
        """Return the next batch without taking it from the stream."""
        return stack_batches([next(first(self.step)) for first in self._first])

    def select(self, rows: Sequence[int]) -> None:
        """Continue with the streams of these seeds alone."""
        self._streams = [self._streams[k] for k in rows]

    def __iter__(self) -> Iterator[list[Batch]]:
        stop = min(self.max_steps, self.step + self.eval_every - self.step % self.eval_every)
        while self.step < stop:
            count = min(self.steps_per_call, stop - self.step)
            self.step += count
            yield [stack_batches([next(stream) for stream in self._streams]) for _ in range(count)]


def batches_with_teacher(
    task: Task, seed: int, batch_size: int, start: int = 0, *, rate_at: Callable[[int], float]
) -> Iterator[Batch]:
    """Yield a run's training batches; a stream of the run's own draws where the truth is fed."""
    for step, batch in enumerate(task.train_batches(seed, batch_size, start), start):
        rate = rate_at(step)
        if rate == 1:
            yield batch
        else:
            steps = batch.targets if task.targets.per_step else batch.inputs
            coins = torch.rand(steps.shape[:2], generator=generator("train", seed, step, 1))
            yield batch.with_extras(teacher_mask=coins < rate)


def stack_batches(batches: Sequence[Batch]) -> Batch:
    """Stack batches of one shape along a new first dimension."""
    if len(batches) == 1:
        return batches[0].map(lambda part: part[None])
    stacked: Batch = tree_map(lambda *parts: None if parts[0] is None else torch.stack(parts), *batches)
    return stacked


class EvaluationSet:
    """A fixed set in parts of `EVAL_BATCH` rows. (Lightning takes a list of batches for several loaders.)"""

    def __init__(self, batch: Batch) -> None:
        self._parts = batch.split(EVAL_BATCH)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


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
