"""The training of a sweep: parts of jobs in processes, as many at a time as there is room for."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from seqbench.runs.locks import is_locked
from seqbench.signals import Stopped
from seqbench.sweeps import work
from seqbench.sweeps.devices import Devices, Share
from seqbench.sweeps.gathering import Gathering
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
    gathering: Gathering,
    on_run: Callable[[Path], object],
    follow: Callable[[Job], Sequence[Unit]],
) -> None:
    """Train what waits, and what follows from it.

    Args:
        sweep: of the units.
        waiting: the units to train.
        devices: that they share.
        gathering: takes in how each ends.
        on_run: called with the folder of each run that has a result.
        follow: called with each job that has ended; returns further units to train.

    Raises:
        Stopped: the user has stopped it, and each process has ended.
    """
    display = gathering.display
    gathering.add(waiting)
    workers: dict[int, Worker] = {}
    number = 0
    said: set[str] = set()

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
                elif isinstance(message, str):
                    if message not in said:
                        display.warn(message)
                    said.add(message)
                else:
                    worker.answered = True
                    if isinstance(message, Refused):
                        display.warn(f"{unit.label}: {message.sentence}")
                        sweep.codes.append(message.exit_code)
        if worker.closed:
            worker.process.join()
            error = None if worker.answered else f"its process was ended by {cause(worker.process.exitcode)}"
            worker.connection.close()
            worker.process.close()
            devices.give_back(worker.share)
            display.ended(key)
            del workers[key]
            if gathering.ended(unit, error, f"its log: {worker.log}") and not gathering.stopping:
                more = follow(unit.job)
                gathering.add(more)
                waiting.extend(more)

    with _stopped_in_order(workers, collect, gathering):
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
                number += 1
            display.waiting = waiting
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


@contextmanager
def _stopped_in_order(
    workers: dict[int, Worker], collect: Callable[[int, Worker], None], gathering: Gathering
) -> Iterator[None]:
    """On the first Ctrl-C let each process write its checkpoint; on the second, or an error, end them all."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        gathering.stopping = True
        try:
            for worker in workers.values():
                os.kill(worker.process.pid, signal.SIGTERM)
            if workers:
                gathering.display.warn(
                    "stopping: each run keeps its last evaluation. Ctrl-C again stops at once."
                )
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
