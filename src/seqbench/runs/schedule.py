"""The schedule of a job: which seeds are done, which are locked by another process, which train together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from omegaconf import DictConfig

from seqbench.errors import StoreError, say
from seqbench.processes import is_first_process, sharing
from seqbench.runs.continuation import continuation
from seqbench.runs.execute import execute
from seqbench.runs.files import DamagedFileError, set_aside, tidy
from seqbench.runs.locks import LOCK_FILE, lock
from seqbench.runs.plan import CallbackOrFactory, Plan, plan
from seqbench.runs.record import CHECKPOINTS, Record, begun_id
from seqbench.runs.result import Result
from seqbench.runs.store import (
    LOGGER_ID,
    OTHER_FILES,
    RESULT_FILE,
    OldSchemaError,
    damage,
    damaged_files,
    read_result,
)
from seqbench.runs.surroundings import own_surroundings

#: Seeds that are held at a time, at most: each has an open file, and loggers may have more.
MOST_HELD = 200


@own_surroundings()
def train(
    cfg: DictConfig,
    callbacks: Sequence[CallbackOrFactory] = (),
    on_result: Callable[[Plan, Result, bool], None] | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    label: str = "",
) -> list[Result]:
    """Train every seed of a configuration, and return how each ended.

    A run that has a result is read, not trained; one that was stopped continues from its last checkpoint; one
    that failed is tried again. One that is equal to a finished run but for more steps goes on from that run's
    end, see `seqbench.runs.continuation`. Seeds at the same step train together.

    Args:
        cfg: from `seqbench.compose`.
        callbacks: Lightning callbacks that observe. A single seed gets the instance, several get a copy each;
            a function of the seed makes one for each.
        on_result: called after each seed with the plan, the result, and whether it was trained just now.
        on_plan: called with the plan before anything trains.
        label: what was varied, `lstm length=100`, by which dashboards call the runs.

    Raises:
        SeqbenchError: the configuration, the data or the run folder cannot be used.
    """
    return train_planned(plan(cfg, callbacks, label), on_result, on_plan)


def train_planned(
    job: Plan,
    on_result: Callable[[Plan, Result, bool], None] | None = None,
    on_plan: Callable[[Plan], None] | None = None,
) -> list[Result]:
    """Train the runs of a plan, see `train`, in the surroundings that the caller has set."""
    results: dict[int, Result] = {}
    with sharing(job.world_size):
        if on_plan is not None:
            on_plan(job)
        for seed, result, trained in _results(job):
            results[seed] = result
            if on_result is not None:
                on_result(job, result, trained)
    return [results[seed] for seed in sorted(results)]


def _results(job: Plan) -> Iterator[tuple[int, Result, bool]]:
    """Yield each seed with its result, and whether it was trained here: first those that are done."""
    missing = []
    for seed in job.seeds:
        if (done := _done(job, seed, locked=False)) is not None:
            _clear(job, seed)
            yield seed, done, False
        else:
            missing.append(seed)
    if missing:
        job.task.prepare(job.batch_size)
    while missing:
        with ExitStack() as locks:
            # Processes that share batches must agree on which seed they train.
            wanted = missing[: 1 if job.world_size > 1 else MOST_HELD]
            mine = [seed for seed in wanted if _lock(job, seed, locks)]
            if not mine:  # other processes have them all: wait for the first
                folder = job.folder(missing[0])
                _say(f"{folder} is being trained by another process; waiting for it.")
                _lock(job, missing[0], locks, wait=True)
                mine = missing[:1]
            missing = [seed for seed in missing if seed not in mine]
            todo = []
            for seed in mine:
                # The process that was waited for may have finished it.
                if (done := _done(job, seed, locked=True)) is not None:
                    yield seed, done, False
                else:
                    todo.append(seed)
            for seed, result in _train(job, todo):
                yield seed, result, True


def _done(job: Plan, seed: int, locked: bool) -> Result | None:
    """Return the result of a run that is done. One that cannot be read is set aside if the folder is locked.

    Raises:
        StoreError: the result is that of another run.
    """
    path = job.folder(seed) / RESULT_FILE
    try:
        result = read_result(job.folder(seed))
    except (DamagedFileError, OldSchemaError) as error:
        if locked and is_first_process():
            _say(f"{error} It is moved to {set_aside(path).name}, and the run is trained again.")
        return None
    if result is not None and result.identity != job.identity.digest:
        raise StoreError(f"{path} is the result of another configuration with the same hash; move it away.")
    for file in damaged_files(path.parent, result) if result is not None and not locked else ():
        _say(damage(file))
    return None if result is None or result.status == "failed" else result


def _say(sentence: str) -> None:
    if is_first_process():
        say(sentence)


def _lock(job: Plan, seed: int, locks: ExitStack, wait: bool = False) -> bool:
    """Take the lock of a run's folder until `locks` ends; return whether it could be had."""
    if not is_first_process():
        return True
    folder = job.folder(seed)
    try:
        if not lock(folder, locks, wait):
            return False
    except OSError as error:
        raise StoreError(
            f"cannot write in {folder}: {error.strerror}. Choose another place with runs_dir=…."
        ) from error
    tidy(folder, (*OTHER_FILES, *CHECKPOINTS))
    return True


def _clear(job: Plan, seed: int) -> None:
    """Remove what a killed process has left in the folder of a run that is done."""
    folder = job.folder(seed)
    if (folder / LOCK_FILE).exists() or any(folder.rglob(".*.part")):
        with ExitStack() as locks, suppress(StoreError):  # in a folder that cannot be written they stay
            _lock(job, seed, locks)
            (folder / LOGGER_ID).unlink(missing_ok=True)


def _train(job: Plan, seeds: Sequence[int]) -> Iterator[tuple[int, Result]]:
    """Train seeds whose folders are locked; yield each with its result, once that is written."""
    records = {seed: _record(job, seed) for seed in seeds}
    groups: dict[Any, list[int]] = {}
    for seed, record in records.items():  # seeds that have ended lack nothing but their test
        groups.setdefault((record.ended, record.step), []).append(seed)
    for whole in groups.values():
        for i in range(0, len(whole), job.at_once):
            group = whole[i : i + job.at_once]
            results = execute(job, {seed: records[seed] for seed in group})
            if len(group) > 1 and any(r.status == "failed" for r in results):
                # The failure of one seed must not be another's.
                results = []
                for seed in group:
                    results += execute(job, {seed: _record(job, seed, records[seed].logger_id)})
            yield from zip(group, results, strict=True)


def _record(job: Plan, seed: int, logger_id: str | None = None) -> Record:
    """Return the record of a run, from its last checkpoint or else from that of the run of fewer steps."""
    record = Record(
        job.task,
        job.folder(seed),
        f"{job.group}/seed-{seed}",
        job.settings.stop_when_solved,
        job.settings.patience,
        logger_id or begun_id(job.folder(seed)) or job.logger_id(seed),
        job.optimizer.patience,
        job.device,
    )
    record.load(_say)
    if record.checkpoint is None and (before := continuation(job, seed)) is not None:
        if before.checkpoint is not None:
            record.take_over(before.checkpoint, before.run)
            _say(f"{record.run} goes on from step {before.steps} of {before.run}.")
        else:
            _say(f"{record.run} starts at step 0 and not from {before.run}, because {before.obstacle}.")
    return record
