"""The launcher: checks every job of a sweep, then trains what is missing, in processes of their own."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from seqbench.errors import say
from seqbench.sweeps.checking import check, say_plan
from seqbench.sweeps.devices import Devices
from seqbench.sweeps.gathering import display_of, missing
from seqbench.sweeps.job import Job, Unit, units
from seqbench.sweeps.processes import preload
from seqbench.sweeps.sweep import Settings, Sweep
from seqbench.sweeps.training import train

#: Processes for each slot, at least: fewer, and slots are idle at the end while others have long to go.
PER_SLOT = 4
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
    sweep = Sweep(jobs, folder)
    run(sweep, settings, on_run)
    return sweep.codes


def run(sweep: Sweep, settings: Settings, on_run: Callable[[Path], object]) -> None:
    """Run a sweep, which then knows what its jobs are, how they ended, and what failed; see `launch`."""
    jobs = sweep.jobs
    preload(*([WANDB] if any(map(_logs_to_wandb, jobs)) else []))
    gpus = check(sweep, timed=settings.dry_run)
    devices = Devices(settings.n_jobs, settings.gpus_per_job, gpus)
    if settings.dry_run:
        say_plan(sweep)
        return
    left = missing(sweep, settings.retry_failed, on_run)
    waiting: deque[Unit] = deque()
    for job in jobs:
        if seeds := left.get(job.number):
            facts = sweep.facts[job.number]
            # On a GPU seeds are faster together; on a CPU each has its own core.
            on_cpu = facts.accelerator == "cpu"
            parts = math.ceil(PER_SLOT * devices.slots(facts) / len(jobs)) if on_cpu else 1
            waiting += units(job, facts, seeds, parts)
    slots = max((devices.slots(unit.facts) for unit in waiting), default=1)
    with display_of(sweep, left, slots, settings.show_test) as display:
        train(sweep, waiting, devices, display, on_run)
    for line in sweep.failures:
        say(line)


def _logs_to_wandb(job: Job) -> bool:
    loggers = (job.config.get("logger") or {}).values()
    return any(isinstance(logger, dict) and "wandb" in str(logger.get("_target_")) for logger in loggers)
