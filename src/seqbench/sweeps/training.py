"""The training of a sweep: parts of jobs in processes, as many at a time as there is room for."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from seqbench.runs.locks import is_locked
from seqbench.signals import Stopped
from seqbench.sweeps import work
from seqbench.sweeps.devices import Devices, Share
from seqbench.sweeps.display import Display, verdict
from seqbench.sweeps.job import Ended, Job, Refused, Unit
from seqbench.sweeps.processes import cause, start
from seqbench.sweeps.sweep import Sweep

#: Seconds between two looks at the processes.
LOOK = 0.25


@dataclass
class Worker:
    """A process that trains."""

    process: Any
    connection: Connection
    unit: Unit
    share: Share
    log: Path
    answered: bool = False
    closed: bool = False


def train(
    sweep: Sweep,
    waiting: deque[Unit],
    devices: Devices,
    display: Display,
    on_run: Callable[[Path], object],
) -> None:
    """Train what waits; the arguments are those of `launch`, made.

    Raises:
        Stopped: the user has stopped it, and each process has ended.
    """
    left = {number: sum(unit.job.number == number for unit in waiting) for number in sweep.facts}
    workers: dict[int, Worker] = {}
    number = 0

    def collect(key: int, worker: Worker) -> None:
        """Take the messages of a worker; once it is gone, see how its seeds ended."""
        unit = worker.unit
        while not worker.closed and worker.connection.poll():
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                worker.closed = True
            else:
                if isinstance(message, Ended):
                    unit.ended.append(message)
                    on_run(Path(message.folder))
                elif isinstance(message, tuple):
                    display.progressed(key, *message)
                else:
                    worker.answered = True
                    if isinstance(message, Refused):
                        display.warn(f"{unit.label}: {message.sentence}")
                        sweep.codes.append(message.exit_code)
        if worker.closed:
            worker.process.join()
            _close(sweep, worker)
            devices.give_back(worker.share)
            display.ended(key)
            del workers[key]
            sweep.ended.setdefault(unit.job.number, []).extend(unit.ended)
            left[unit.job.number] -= 1
            if not left[unit.job.number]:
                _conclude(sweep, unit.job, display)

    with _stopped_in_order(workers, collect, display):
        while waiting or workers:
            while waiting:
                unit = next((unit for unit in waiting if not _trains_elsewhere(unit)), waiting[0])
                share = devices.take(unit.facts)
                if share is None:
                    break
                waiting.remove(unit)
                log = sweep.folder / f"{unit.job.number}-{unit.seeds.start}.log"
                process, connection = _begin(unit, log, share)
                workers[number] = Worker(process, connection, unit, share, log)
                display.started(number, unit)
                display.waiting = len(waiting)
                number += 1
            wait([worker.connection for worker in workers.values()], timeout=LOOK)
            for key, worker in list(workers.items()):
                collect(key, worker)
            display.tick()


def _trains_elsewhere(unit: Unit) -> bool:
    """Whether other processes hold all its runs, so that a process of ours could only wait for them."""
    return all(is_locked(Path(unit.facts.group, f"seed-{seed}")) for seed in unit.seeds)


def _begin(unit: Unit, log: Path, share: Share) -> tuple[Any, Connection]:
    if unit.facts.devices == 1:
        return start(work.train, log, share.environment, unit.job, unit.seeds)
    return start(work.train_on_several, log, share.environment, unit.job, unit.seeds, unit.facts.group)


def _close(sweep: Sweep, worker: Worker) -> None:
    """Note for each seed of a process that is gone how it ended, if it did not say so itself."""
    unit, code = worker.unit, worker.process.exitcode
    if not worker.answered:
        for seed in set(unit.seeds) - {ended.seed for ended in unit.ended}:
            folder = f"{unit.facts.group}/seed-{seed}"
            error = f"its process was ended by {cause(code)}"
            unit.ended.append(Ended(seed=seed, folder=folder, status="failed", error=error))
    for ended in unit.ended:
        if ended.status == "failed":
            sweep.fail(unit.job, ended, f"its log: {worker.log}")
    worker.connection.close()
    worker.process.close()


def _conclude(sweep: Sweep, job: Job, display: Display) -> None:
    """Print how a job ended, once all its processes have."""
    trained = sweep.ended.get(job.number, [])
    seeds = {run.seed for run in trained}
    before = [run for run in sweep.facts[job.number].before if run.seed not in seeds]
    ended = [*before, *trained]
    failed = len(ended) < len(sweep.facts[job.number].seeds) or any(e.status == "failed" for e in ended)
    display.counts["failed" if failed else "done"] += 1
    if ended:
        display.line(f"{job.label}: {verdict(ended, display.show_test)}")


@contextmanager
def _stopped_in_order(
    workers: dict[int, Worker], collect: Callable[[int, Worker], None], display: Display
) -> Iterator[None]:
    """On the first Ctrl-C let each process write its checkpoint; on the second, or an error, end them all."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        try:
            for worker in workers.values():
                os.kill(worker.process.pid, signal.SIGTERM)
            if workers:
                display.warn("stopping: each run keeps its last evaluation. Ctrl-C again stops at once.")
            while workers:
                wait([worker.connection for worker in workers.values()], timeout=LOOK)
                for key, worker in list(workers.items()):
                    collect(key, worker)
        finally:
            _kill(workers)
        raise
    finally:
        _kill(workers)


def _kill(workers: dict[int, Worker]) -> None:
    for worker in workers.values():
        with suppress(OSError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.kill()
        worker.process.join()
    workers.clear()
