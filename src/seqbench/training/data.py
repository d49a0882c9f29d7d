"""Feeding a task to Lightning."""

from __future__ import annotations

from collections.abc import Iterator

import lightning as L

from seqbench.tasks.base import Batch, Task

#: Optimisation steps handed to Lightning at once, so that its cost per batch is shared among them.
STEPS_PER_CALL = 20
#: Sequences evaluated at once; it bounds memory and leaves the numbers alone.
EVAL_BATCH = 250


class TrainingStream:
    """The training batches of one run, in lists; going through it once takes it to the next evaluation.

    Args:
        task: what is learnt.
        seed: the run's seed.
        batch_size: sequences of one step, all devices together.
        start: the step to begin at.
        eval_every: steps between evaluations.
        max_steps: the last step.
        steps_per_call: batches of one list.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        batch_size: int,
        start: int,
        eval_every: int,
        max_steps: int,
        steps_per_call: int = STEPS_PER_CALL,
    ) -> None:
        self.step = start
        self.eval_every = eval_every
        self.max_steps = max_steps
        self.steps_per_call = steps_per_call
        self._batches = task.train_batches(seed, batch_size, start)

    def __iter__(self) -> Iterator[list[Batch]]:
        stop = min(self.max_steps, self.step + self.eval_every - self.step % self.eval_every)
        while self.step < stop:
            count = min(self.steps_per_call, stop - self.step)
            self.step += count
            yield [next(self._batches) for _ in range(count)]


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
