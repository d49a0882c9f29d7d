"""The launcher: checks every job of a sweep, then trains what is missing, in processes of their own."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from seqbench.errors import say
from seqbench.sweeps.checking import check, say_plan, say_same
from seqbench.sweeps.devices import Devices
from seqbench.sweeps.gathering import Gathering, display_of, missing
from seqbench.sweeps.job import Job, Unit, units
from seqbench.sweeps.processes import preload
from seqbench.sweeps.sweep import Settings, Sweep
from seqbench.sweeps.training import train

#: Processes for each slot, at least: fewer, and slots are idle at the end while others have long to go.
PER_SLOT = 4
#: What follows from how a job ended: more jobs of the same sweep.
Then = Callable[[Job], Sequence[Job]]
#: What W&B imports when a run starts, itself included; it takes longer than many a short run.
WANDB = "wandb.sdk.launch"


def launch(
    jobs: Sequence[Job], folder: Path, settings: Settings, on_run: Callable[[Path], object]
) -> list[int]:
    """Run the jobs of a sweep; return the exit codes of what failed.

    Args:
        jobs: all of them.
        folder: for the logs of its processes.
        settings: how.
        on_run: called with the folder of each run that has a result.

    Raises:
        ConfigError: the settings do not fit this machine.
        Stopped: the user has stopped it, and each process has ended.
    """
    sweep = Sweep(list(jobs), folder)
    run(sweep, settings, on_run)
    return sweep.codes


def run(
    sweep: Sweep, settings: Settings, on_run: Callable[[Path], object], then: Then = lambda job: ()
) -> None:
    """Run a sweep, which then knows what its jobs are, how they ended, and what failed.

    Args:
        sweep: with the jobs to begin with.
        settings: how.
        on_run: called with the folder of each run that has a result.
        then: called with each job once it has ended or was refused; returns jobs to run besides, numbered on.

    Raises:
        ConfigError: the settings do not fit this machine.
        Stopped: the user has stopped it, and each process has ended.
    """
    prepare(sweep.jobs)
    gpus = check(sweep, timed=settings.dry_run)
    say_same(sweep)
    devices = Devices(settings.n_jobs, settings.gpus_per_job, gpus)
    if settings.dry_run:
        say_plan(sweep)
        return
    first = list(sweep.jobs)
    left = missing(sweep, first, settings.retry_failed, on_run)
    slots = max((devices.slots(sweep.facts[number]) for number, seeds in left.items() if seeds), default=1)
    with display_of(sweep, left, slots, settings.show_test) as display:
        gathering = Gathering(sweep, (), display)

        def lacking(jobs: Sequence[Job], left: dict[int, list[int]]) -> list[Unit]:
            """Return the units that jobs lack, and those that follow where a job lacks none."""
            found: list[Unit] = []
            at_work = gathering.jobs + sum(map(bool, left.values()))
            for job in jobs:
                if not (seeds := left.get(job.number)):
                    found += follow(job)
                    continue
                facts = sweep.facts[job.number]
                # On a GPU seeds are faster together; on a CPU each has its own core.
                on_cpu = facts.accelerator == "cpu"
                parts = math.ceil(PER_SLOT * devices.slots(facts) / at_work) if on_cpu else 1
                found += units(job, facts, seeds, parts)
            return found

        def follow(job: Job) -> list[Unit]:
            """Take in what follows from how a job ended; return the units of it."""
            jobs = list(then(job))
            if not jobs:
                return []
            sweep.jobs += jobs
            check(sweep)
            left = missing(sweep, jobs, settings.retry_failed, on_run)
            display.add(len(jobs), left)
            return lacking(jobs, left)

        train(sweep, deque(lacking(first, left)), devices, gathering, on_run, follow)
    for line in sweep.failures:
        say(line)


def prepare(jobs: Sequence[Job]) -> None:
    """Let the server of the processes import what the training of jobs needs, if it is not running yet.

    Who starts a process before `run` calls this first: each run would import it for itself otherwise.

    Args:
        jobs: to be run.
    """
    if any(map(_logs_to_wandb, jobs)):
        preload(WANDB)


def _logs_to_wandb(job: Job) -> bool:
    loggers = (job.config.get("logger") or {}).values()
    return any(isinstance(logger, dict) and "wandb" in str(logger.get("_target_")) for logger in loggers)
