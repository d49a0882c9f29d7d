"""The recorder: Lightning's view of the records of the seeds in training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import lightning as L

from seqbench.analysis.spectrum import largest
from seqbench.errors import SeqbenchError
from seqbench.runs import generators
from seqbench.runs.media import Media
from seqbench.runs.record import Record
from seqbench.signals import check, deferred
from seqbench.training.learner import SequenceLearner


class Recorder(L.Callback):
    """Keeps the records of the seeds in training, and decides at each evaluation which seeds continue.

    Attributes:
        active: the records of the seeds in training, in the order of the learner's models.
    """

    def __init__(self, records: Sequence[Record], checkpoint_every: int, log_spectrum: bool = False) -> None:
        self.active = list(records)
        self.log_spectrum = log_spectrum
        self.checkpoint_every = checkpoint_every
        self._mark = time.perf_counter()
        self._saved_at = records[0].step
        self._unsaved: dict[Record, dict[str, Any]] = {}  # the last evaluation, where it was not saved
        self._media = Media()

    def _lap(self) -> float:
        """Divide the seconds since the last lap among the records; return one record's share."""
        now = time.perf_counter()
        seconds, self._mark = (now - self._mark) / len(self.active), now
        for record in self.active:
            record.wall_seconds += seconds
        return seconds

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        checkpoint = self.active[0].checkpoint
        if checkpoint is not None:
            generators.restore(checkpoint)
        for record in self.active:
            record.checkpoint = None
        assert isinstance(pl_module, SequenceLearner)
        self._pass_on_plateaus(pl_module)
        # Lightning counts the steps from here, and tells loggers at which step a callback has logged.
        trainer.fit_loop.epoch_loop._batches_that_stepped = pl_module.step
        self._mark = time.perf_counter()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._lap()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SequenceLearner)
        self._means = pl_module.take_training_means()  # waits for the device, so that the lap is true
        seconds = self._lap()
        for record in self.active:
            record.train_seconds += seconds

    def on_train_batch_start(self, *_: Any) -> None:
        check()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SequenceLearner)
        with deferred():
            self._record(trainer, pl_module)

    def _record(self, trainer: L.Trainer, learner: SequenceLearner) -> None:
        """Record an evaluation; end the run, or continue with the seeds that have not ended."""
        self._lap()
        over = learner.step >= learner.max_steps
        for record, means, lr, metrics, model in zip(
            self.active, self._means, learner.rates, learner.evaluation, learner.models, strict=True
        ):
            row = {"step": learner.step, **means, "lr": lr, **metrics}
            if self.log_spectrum:
                row |= largest(model)
            record.add(row | {"seconds": round(record.wall_seconds, 3)}, metrics, model)
        # One that has failed would fail again when Lightning closes it.
        working = [logger for record in self.active for logger in record.loggers]
        trainer.loggers = [logger for logger in trainer.loggers if logger in working]
        self._lap()
        for record, model in zip(self.active, learner.models, strict=True):
            self._media.show(record, model, is_last=record.ended or over)
        self._mark = time.perf_counter()  # pictures are in no run's time
        training = [k for k, record in enumerate(self.active) if not record.ended]
        trainer.should_stop = not training or over
        leaving = len(training) < len(self.active)
        due = over or leaving or learner.step - self._saved_at >= self.checkpoint_every
        carried = learner.carried_states()  # of all processes
        if trainer.is_global_zero:
            states = zip(self.active, learner.models, learner.optimizer_states(), carried, strict=True)
            self._unsaved = {
                record: record.snapshot(model, state, leaves) for record, model, state, leaves in states
            }
            if due:
                self._save()
                self._saved_at = learner.step
        if leaving and training:
            learner.select(training)
            self.active = [self.active[k] for k in training]
        self._pass_on_plateaus(learner)

    def _pass_on_plateaus(self, learner: SequenceLearner) -> None:
        """Tell each pass how often its rate has fallen; seeds share none where they may differ in it."""
        first = 0
        for its in learner.passes:
            its.plateaus = self.active[first].plateaus
            first += len(its.models)

    def _save(self) -> None:
        for record, checkpoint in list(self._unsaved.items()):
            record.save(checkpoint)
            del self._unsaved[record]

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Save the last evaluation: the run continues from there."""
        if not isinstance(exception, SeqbenchError):
            with deferred():
                self._save()
