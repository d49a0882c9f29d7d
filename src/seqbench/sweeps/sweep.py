"""A sweep: its settings, and what is known of its jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from seqbench.sweeps.job import Ended, Facts, Job, Refused
from seqbench.sweeps.outcome import FAILED


@dataclass(frozen=True)
class Settings:
    """How a sweep is run: `hydra.launcher.…`.

    Attributes:
        n_jobs: processes at a time, at most; None for as many as there are GPUs, or cores, for.
        gpus_per_job: a fraction of a GPU or a whole number of them; None for `trainer.devices`.
        retry_failed: whether runs that have failed before are tried again.
        dry_run: whether only to say what would be run.
        show_test: whether figures of the test are shown.
    """

    n_jobs: int | None = None
    gpus_per_job: float | None = None
    retry_failed: bool = True
    dry_run: bool = False
    show_test: bool = True


@dataclass
class Sweep:
    """What is known of the jobs of a sweep, and how they ended.

    Attributes:
        jobs: all of them, as far as they are known.
        folder: for the logs of its processes.
        facts: of each job that was not refused, by its number.
        refused: why each other one was, by number.
        ended: how its runs ended, by number.
        codes: exit codes of what failed or was refused.
        failures: a line for each.
    """

    jobs: list[Job]
    folder: Path
    facts: dict[int, Facts] = field(default_factory=dict)
    refused: dict[int, Refused] = field(default_factory=dict)
    ended: dict[int, list[Ended]] = field(default_factory=dict)
    codes: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def fail(self, job: Job, run: Ended, where: str) -> None:
        """Note that a run has failed; `where` says more about it."""
        self.codes.append(FAILED)
        self.failures.append(f"{job.label} seed {run.seed} failed: {run.error} ({where})")
