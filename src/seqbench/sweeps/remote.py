"""Units of a sweep that run elsewhere, in jobs of Slurm or tasks of Ray.

There each is a sweep of its own, by the code of the sweeps on this machine. It writes into a file which
folders its runs have, and the results there say how they ended. So all machines see one folder of runs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqbench.errors import ConfigError, StoreError
from seqbench.runs.inventory import reached
from seqbench.runs.store import RESULT_FILE, read_result
from seqbench.sweeps.checking import check, say_plan, say_same
from seqbench.sweeps.devices import VISIBLE
from seqbench.sweeps.display import Display
from seqbench.sweeps.gathering import missing
from seqbench.sweeps.job import Facts, Job, Unit, units
from seqbench.sweeps.launch import launch
from seqbench.sweeps.outcome import ended
from seqbench.sweeps.sweep import Settings, Sweep

#: The file in a part's folder that names the folders of its runs.
RUNS = "runs.txt"
#: What a configuration calls a GPU where it asks for one.
GPU = ("gpu", "cuda")


@dataclass
class Part:
    """A unit that runs elsewhere.

    Attributes:
        unit: what it trains.
        folder: of its own, for logs and `RUNS`.
        gpus: of its machine.
        cpus: cores.
        id: by which the cluster knows it, once it does.
        log: what it says.
    """

    unit: Unit
    folder: Path
    gpus: float
    cpus: int
    id: str = ""
    log: Path = Path()

    @property
    def at_once(self) -> int | None:
        """Processes that train on its machine at the same time, at most; None if the GPUs there decide."""
        facts = self.unit.facts
        return max(1, self.cpus // _cores(facts)) if facts.accelerator == "cpu" else None

    def collect(self, on_run: Callable[[Path], object]) -> None:
        """Find out how its runs ended, as far as they did; `on_run` is called with the folder of each."""
        with suppress(FileNotFoundError):
            for line in dict.fromkeys((self.folder / RUNS).read_text().splitlines()):
                with suppress(StoreError):
                    if (result := read_result(Path(line))) is not None:
                        self.unit.ended.append(ended(result, line))
                        on_run(Path(line))


def plan(
    sweep: Sweep,
    settings: Any,
    on_run: Callable[[Path], object],
) -> tuple[dict[int, list[int]], list[Part]]:
    """Check the jobs of a sweep; return which seeds each lacks, and the parts that would train them.

    Args:
        sweep: of the jobs; those that were not refused get their facts.
        settings: with `gpus_per_job`, `cpus_per_job`, `seeds_per_job`, `retry_failed`, `dry_run`.
        on_run: called with the folder of each run that stays as it is.

    Raises:
        ConfigError: a job cannot have or use what the settings give it.
    """
    sweep.jobs = [replace(job, gpus=math.ceil(_gpus(job, settings.gpus_per_job))) for job in sweep.jobs]
    check(sweep, timed=settings.dry_run)
    say_same(sweep)
    for facts in sweep.facts.values():
        _check_use(facts, settings)
    if settings.dry_run:
        say_plan(sweep)
        return {}, []
    left = missing(sweep, sweep.jobs, settings.retry_failed, on_run)
    parts = []
    for job in sweep.jobs:
        if not (seeds := left.get(job.number)):
            continue
        facts = sweep.facts[job.number]
        count = math.ceil(len(seeds) / (settings.seeds_per_job or len(seeds)))
        for unit in units(job, facts, seeds, count):
            folder = sweep.folder.resolve() / f"{job.number}-{unit.seeds.start}"
            gpus = _gpus(job, settings.gpus_per_job)
            parts.append(Part(unit, folder, gpus, settings.cpus_per_job or _cores(facts)))
    return left, parts


def train_there(job: Job, seeds: range, folder: Path, at_once: int | None) -> int:
    """Train seeds of a job as a sweep of its own; return the exit code. This is what runs elsewhere.

    Args:
        job: with the number of GPUs that it was planned for.
        seeds: of its runs.
        folder: for its logs and `RUNS`.
        at_once: processes at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, typed = job.config | {"seed": seeds.start, "n_seeds": len(seeds)}, list(job.typed)
    if not job.gpus:
        os.environ[VISIBLE] = ""  # it asked for none, and is the run that it is without
    elif config["trainer"].get("accelerator", "auto") == "auto":
        config["trainer"] = config["trainer"] | {"accelerator": "gpu"}  # is refused where there is none
        typed.append("++trainer.accelerator=gpu")
    here = replace(job, config=config, typed=typed, gpus=None)
    with (folder / RUNS).open("a", buffering=1) as file:
        codes = launch([here], folder, Settings(n_jobs=at_once), lambda run: print(run, file=file))
    return max(codes, default=0)


def report(display: Display, number: int, part: Part) -> None:
    """Show how far a part is: at the last evaluation of its seeds in training."""
    folders = [Path(part.unit.facts.group, f"seed-{seed}") for seed in part.unit.seeds]
    steps = [reached(folder)[0] for folder in folders if not (folder / RESULT_FILE).exists()]
    if (step := max(steps, default=0)) and step != display.running[number].step:
        display.progressed(number, step, "")


def _gpus(job: Job, given: float | None) -> float:
    """Return how many GPUs a job has: those given, or `trainer.devices` of one that asks for GPUs."""
    trainer = job.config.get("trainer", {})
    if given is not None:
        return given
    if trainer.get("accelerator") not in GPU:
        return 0
    if trainer.get("devices") == -1:
        raise ConfigError(
            "trainer.devices=-1 takes all GPUs of a machine, and how many another one gives is not known "
            "here; give hydra.launcher.gpus_per_job."
        )
    devices = trainer.get("devices", 1)
    return devices if isinstance(devices, int) else 1


def _cores(facts: Facts) -> int:
    return facts.threads * facts.devices


def _check_use(facts: Facts, settings: Any) -> None:
    """Raise a ConfigError where a job would leave idle what it is given."""
    gpus, cpus = settings.gpus_per_job, settings.cpus_per_job
    if gpus is not None and gpus > 0 and facts.accelerator == "cpu":
        raise ConfigError(
            f"hydra.launcher.gpus_per_job={gpus:g} does nothing for {facts.group}, which trains on CPUs."
        )
    if gpus is not None and gpus > facts.devices:
        raise ConfigError(
            f"hydra.launcher.gpus_per_job={gpus:g} is more than the trainer.devices={facts.devices} that a "
            "run uses."
        )
    if cpus is not None and cpus < _cores(facts):
        raise ConfigError(
            f"hydra.launcher.cpus_per_job={cpus} is less than the {_cores(facts)} that a run uses: "
            "trainer.num_threads for each of trainer.devices."
        )
