"""The batches of a task, as Lightning asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import lightning as L
import torch

from seqbench.models.dropout import Dropout
from seqbench.tasks.base import Task, generator
from seqbench.tasks.batch import DROPOUT_MASK, TEACHER_MASK, Batch
from seqbench.training.seed_stack import stack_batches

#: Optimisation steps per call of Lightning, so that its overhead per batch is shared among them.
STEPS_PER_CALL = 20
#: Sequences evaluated at once; it bounds memory.
EVAL_BATCH = 250


class TrainingStream:
    """The training batches of the passes of a job; one round ends at the next evaluation.

    It yields, for several steps, an iterator for each pass, of a batch for each step. If the job is observed
    it has one pass, and the stream yields each batch itself.

    Args:
        task: what is learnt.
        seeds: of the runs; those of each pass.
        batch_size: sequences of one step, all devices together.
        start: the step to begin at.
        eval_every: steps between evaluations.
        max_steps: the last step.
        stacked: whether the models of a pass are stacked, and their batches with them.
        observed: whether callbacks, or other processes, take part in every step.
        drawn: whether lists are yielded, of batches that are drawn, and not iterators that draw them when
            they are asked for.
        teacher_forcing: returns the rate of teacher forcing at a step, for models that are fed their outputs.
        dropout: of the models.
    """

    def __init__(
        self,
        task: Task,
        seeds: Sequence[Sequence[int]],
        batch_size: int,
        start: int,
        eval_every: int,
        max_steps: int,
        stacked: bool = False,
        observed: bool = False,
        drawn: bool = False,
        teacher_forcing: Callable[[int], float] | None = None,
        dropout: Dropout | None = None,
    ) -> None:
        self.step = start
        self.eval_every = eval_every
        self.max_steps = max_steps
        self.stacked = stacked
        self.observed = observed
        self.drawn = drawn
        rate_at = teacher_forcing or (lambda step: 1.0)
        self._streams = [
            [
                training_batches(task, seed, batch_size, start, rate_at=rate_at, dropout=dropout)
                for seed in its
            ]
            for its in seeds
        ]

    def select(self, rows: Sequence[Sequence[int]]) -> None:
        """Continue with these seeds of each pass alone, and without a pass that has none."""
        chosen = [[streams[k] for k in its] for streams, its in zip(self._streams, rows, strict=True)]
        self._streams = [streams for streams in chosen if streams]

    def __iter__(self) -> Iterator[Batch | list[Iterable[Batch]]]:
        stop = min(self.max_steps, self.step + self.eval_every - self.step % self.eval_every)
        while self.step < stop:
            count = 1 if self.observed else min(STEPS_PER_CALL, stop - self.step)
            self.step += count
            batches = [self._batches(streams, count) for streams in self._streams]
            if self.observed:
                yield next(batches[0])
            else:
                yield [list(each) for each in batches] if self.drawn else list(batches)

    def _batches(self, streams: Sequence[Iterator[Batch]], count: int) -> Iterator[Batch]:
        for _ in range(count):
            batches = [next(stream) for stream in streams]
            yield stack_batches(batches) if self.stacked else batches[0]


def training_batches(
    task: Task,
    seed: int,
    batch_size: int,
    start: int = 0,
    *,
    rate_at: Callable[[int], float],
    dropout: Dropout | None = None,
) -> Iterator[Batch]:
    """Yield a run's training batches; streams of its own draw where the truth is fed, and what is dropped."""
    for step, batch in enumerate(task.train_batches(seed, batch_size, start), start):
        rate, extras = rate_at(step), {}
        if rate != 1:
            steps = batch.targets if task.targets.per_step else batch.inputs
            coins = torch.rand(steps.shape[:2], generator=generator("train", seed, step, 1))
            extras[TEACHER_MASK] = coins < rate
        if dropout is not None:
            rows, length = batch.inputs.shape[:2]
            extras[DROPOUT_MASK] = dropout.draw(rows, length, generator("train", seed, step, 2))
        yield batch.with_extras(**extras) if extras else batch


class EvaluationSet:
    """A fixed set in parts of `EVAL_BATCH` rows. (Lightning takes a list of batches for several loaders.)"""

    def __init__(self, task: Task, batch: Batch) -> None:
        self._parts = task.parts(batch, EVAL_BATCH)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


class StreamSet:
    """An evaluation set of streams, in pieces of so many steps, one after another."""

    def __init__(self, batch: Batch, steps: int) -> None:
        self._batch = batch
        self._steps = steps

    def __iter__(self) -> Iterator[Batch]:
        steps = self._batch.inputs.shape[1]
        for start in range(0, steps, self._steps):
            yield self._batch.time_slice(start, min(start + self._steps, steps), per_step=True)

    def __len__(self) -> int:
        return -(-self._batch.inputs.shape[1] // self._steps)


def evaluation_set(task: Task, batch: Batch) -> EvaluationSet | StreamSet:
    """Return a validation or test set of a task in the parts in which it is evaluated."""
    return StreamSet(batch, task.length) if task.streams else EvaluationSet(task, batch)


class TaskData(L.LightningDataModule):
    """A task's three splits as Lightning asks for them."""

    def __init__(self, task: Task, stream: TrainingStream) -> None:
        super().__init__()
        self.task = task
        self.stream = stream

    def train_dataloader(self) -> TrainingStream:
        return self.stream

    def val_dataloader(self) -> EvaluationSet | StreamSet:
        return evaluation_set(self.task, self.task.validation())

    def test_dataloader(self) -> list[EvaluationSet | StreamSet]:
        """Return the test set of each of the task's `eval_lengths`."""
        return [evaluation_set(self.task, self.task.test(length)) for length in self.task.eval_lengths]
