"""The launcher: checks every job of a sweep, then trains what is missing, in processes of their own."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from seqbench.errors import say
from seqbench.sweeps.checking import check, say_plan
from seqbench.sweeps.display import Display
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
    preload(*([WANDB] if any(map(_logs_to_wandb, jobs)) else []))
    devices = check(sweep, settings)
    if settings.dry_run:
        say_plan(sweep)
        return sweep.codes
    waiting: deque[Unit] = deque()
    skipped = 0
    for job in jobs:
        facts = sweep.facts.get(job.number)
        if facts is None:
            continue
        missing = facts.missing(settings.retry_failed)
        for run in facts.before:
            if run.seed not in missing:
                on_run(Path(run.folder))
                if run.status == "failed":
                    sweep.fail(job, run, "it is not tried again: hydra.launcher.retry_failed=false")
        skipped += not missing
        # On a GPU seeds are faster together; on a CPU each has its own core.
        parts = math.ceil(PER_SLOT * devices.slots(facts) / len(jobs)) if facts.accelerator == "cpu" else 1
        waiting += units(job, facts, missing, parts)
    slots = max((devices.slots(unit.facts) for unit in waiting), default=1)
    with Display(len(jobs), slots, settings.show_test) as display:
        display.counts["skipped"] = skipped
        display.counts["failed"] = len(jobs) - len(sweep.facts)
        if skipped:
            display.line(f"{skipped} of {len(jobs)} jobs had been done.")
        train(sweep, waiting, devices, display, on_run)
    for line in sweep.failures:
        say(line)
    return sweep.codes


def _logs_to_wandb(job: Job) -> bool:
    loggers = (job.config.get("logger") or {}).values()
    return any(isinstance(logger, dict) and "wandb" in str(logger.get("_target_")) for logger in loggers)
