"""The execution of one group of seeds, from the first step to the test."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast

import lightning as L
import torch
from omegaconf import OmegaConf
from torch import nn

from seqbench.errors import SeqbenchError
from seqbench.models.model import Model
from seqbench.processes import check_others, end_others, is_first_process
from seqbench.runs import devices
from seqbench.runs.files import to_bytes, write_atomically
from seqbench.runs.generators import generators_kept
from seqbench.runs.outcome import blank, ending, fill, stopped
from seqbench.runs.plan import Plan
from seqbench.runs.record import Record
from seqbench.runs.recorder import Recorder
from seqbench.runs.result import Result
from seqbench.runs.store import BEST_WEIGHTS, LOGGER_ID, write_result
from seqbench.runs.trainer import ends_of, lightning_trainer
from seqbench.signals import deferred
from seqbench.training import loggers, progress
from seqbench.training.batches import TaskData, TrainingStream
from seqbench.training.learner import SequenceLearner
from seqbench.training.lightning_arguments import reports
from seqbench.training.workers import Workers, workers_for


def execute(job: Plan, records: dict[int, Record]) -> list[Result]:
    """Train seeds together and test them; an error of the runs' own makes their status `failed`.

    Args:
        job: the plan.
        records: of each seed, all at the same step. Their folders are locked.

    Raises:
        SeqbenchError: the configuration, the data or the disk cannot be used, or a process has ended that
            shares batches with this one.
    """
    check_others()
    results = {seed: blank(job, seed) for seed in records}
    learner: SequenceLearner | None = None
    try:
        with (
            _process_settings(job),
            _workers(job, records) as workers,
            tempfile.TemporaryDirectory() as scratch,
        ):
            for seed, record in records.items() if is_first_process() else ():
                write_atomically(record.folder / LOGGER_ID, record.logger_id)
                for logger in job.loggers(seed, record.logger_id):
                    record.loggers.append(logger)
                    loggers.restore(logger, record.rows, record.unlogged)
                write_atomically(record.folder / "config.yaml", OmegaConf.to_yaml(job.config_of(seed)))
            models = [job.model(seed) for seed in records]
            learner = SequenceLearner(
                *(models, job.task, job.optimizer, job.settings.max_steps),
                vectorized=job.mode.vectorized,
                accumulate=job.settings.accumulate,
                workers=workers,
            )
            trainer, data = _trainer(job, records, learner, scratch)
            of_model = list(zip(records.values(), models, strict=True))
            with ends_of(trainer):
                if learner.step < learner.max_steps and not of_model[0][0].ended:
                    trainer.fit(learner, data)
                _test(learner, trainer, data, of_model)
            for report in reports(scratch) if is_first_process() else ():
                print(report)
            for seed, (record, model) in zip(records, of_model, strict=True):
                fill(job, results[seed], record, model)
                results[seed].peak_memory_bytes = devices.peak_memory(trainer.strategy.root_device)
    except (SeqbenchError, KeyboardInterrupt, SystemExit) as end:
        for record in records.values():
            loggers.finish(record.loggers, stopped(end))
            if isinstance(end, SeqbenchError):
                record.discard()
        raise
    except Exception:
        if not is_first_process():
            raise  # the first process records how a run ended; this one's output shows the error
        end_others()  # they may have come further, and cannot follow to another seed
        for seed, result in results.items():
            result.status = "failed"
            result.error = traceback.format_exc()
            result.steps = learner.step if learner is not None else 0
            result.wall_time_s = round(records[seed].wall_seconds, 3)
    with deferred():
        for seed, result in results.items():
            result.finished_at = datetime.now(UTC).isoformat(timespec="seconds")
            if is_first_process():
                write_result(job.folder(seed), result)
                if result.status != "failed":
                    records[seed].drop_checkpoints(job.settings.max_steps)
        for seed, result in results.items():
            loggers.finish(records[seed].loggers, ending(job, result))
    return list(results.values())


@contextmanager
def _process_settings(job: Plan) -> Iterator[None]:
    """Set threads and memory for a run, and leave the process's settings and generators as they were."""
    threads = torch.get_num_threads()
    try:
        with generators_kept():
            torch.set_num_threads(job.mode.threads)
            devices.keep_freed_memory()
            devices.release_freed_memory()
            devices.reset_peak_memory()
            yield
    finally:
        torch.set_num_threads(threads)


def _workers(job: Plan, records: dict[int, Record]) -> Workers:
    """Return the workers through which the seeds of a group go on a CPU; a GPU takes one after another."""
    several = devices.accelerator(job.settings) == "cpu" and job.settings.precision != "bf16-mixed"
    return Workers(workers_for(len(records) if several else 1, job.mode.threads), job.mode.threads)


def _trainer(
    job: Plan, records: dict[int, Record], learner: SequenceLearner, scratch: str
) -> tuple[L.Trainer, TaskData]:
    """Return Lightning's trainer, with the callbacks of the seeds, and the data that it trains on."""
    settings, first = job.settings, next(iter(records.values()))
    observers = [callback for seed in records for callback in job.make_callbacks(seed)]
    callbacks = [
        Recorder(list(records.values()), settings.checkpoint_every, settings.log_spectrum),
        *observers,
    ]
    if progress.listener is not None and is_first_process():
        callbacks.append(progress.ProgressReport(job.task.metric))
    elif settings.progress and is_first_process() and progress.ProgressLine.wanted():
        seeds = "–".join(str(seed) for seed in sorted({min(records), max(records)}))
        title = f"{job.task_name} {job.model_name} seed{'s' * (len(records) > 1)} {seeds}"
        callbacks.append(progress.ProgressLine(title, job.task.metric))
    logs = [log for r in records.values() for log in r.loggers]
    trainer = lightning_trainer(job, callbacks, logs, scratch)
    learner.step = first.step
    learner.resumed = [r.checkpoint for r in records.values() if r.checkpoint is not None]
    learner.stream = TrainingStream(
        job.task,
        learner.per_pass(records),
        job.batch_size,
        learner.step,
        settings.eval_every,
        settings.max_steps,
        stacked=job.mode.vectorized,
        # Processes that share batches meet after every step, and observers see every step.
        observed=job.world_size > 1 or bool(observers),
        # Lightning moves batches to a GPU, and converts them; and data are drawn in single precision.
        drawn=devices.accelerator(settings) != "cpu" or settings.precision != "32-true",
        teacher_forcing=settings.teacher_rate_at,
        dropout=cast(Model, learner.models[0]).dropout_masks,
    )
    return trainer, TaskData(job.task, learner.stream)


def _test(
    learner: SequenceLearner, trainer: L.Trainer, data: TaskData, of_model: list[tuple[Record, Model]]
) -> None:
    """Measure each seed's best weights on the test sets."""
    tested = [(record, model) for record, model in of_model if record.best_step]
    if not tested:
        return
    learner.models = nn.ModuleList(model for _, model in tested)
    learner.best_weights = [record.best_weights for record, _ in tested]
    trainer.test(learner, data, verbose=False)
    for (record, _), metrics in zip(tested, learner.tested, strict=True):
        record.tested = metrics
        if trainer.is_global_zero:
            write_atomically(record.folder / BEST_WEIGHTS, to_bytes(record.best_weights))
