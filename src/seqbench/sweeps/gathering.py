"""What a sweep lacks, and how what was trained of it ended: alike wherever that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from seqbench.sweeps.display import Display, verdict
from seqbench.sweeps.job import Ended, Job, Unit
from seqbench.sweeps.sweep import Sweep


def missing(
    sweep: Sweep, jobs: Sequence[Job], retry_failed: bool, on_run: Callable[[Path], object]
) -> dict[int, list[int]]:
    """Return the seeds to train of each job that was not refused, by its number.

    Args:
        sweep: of the jobs.
        jobs: which were checked.
        retry_failed: whether runs that have failed before are tried again.
        on_run: called with the folder of each run that stays as it is.
    """
    found = {}
    for job in jobs:
        if (facts := sweep.facts.get(job.number)) is None:
            continue
        found[job.number] = facts.missing(retry_failed)
        for run in facts.before:
            if run.seed not in found[job.number]:
                on_run(Path(run.folder))
                if run.status == "failed":
                    sweep.fail(job, run, "it is not tried again: hydra.launcher.retry_failed=false")
    return found


def display_of(sweep: Sweep, left: dict[int, list[int]], slots: int, show_test: bool = True) -> Display:
    """Return the display of a sweep, once it is known which seeds it lacks; say how many jobs were done."""
    display = Display(slots, show_test)
    display.add(len(sweep.jobs), left)
    if skipped := display.counts["skipped"]:
        display.line(f"{skipped} of {len(sweep.jobs)} jobs had been done.")
    return display


class Gathering:
    """Takes in how units ended, and prints a line for each job that has none left.

    Args:
        sweep: takes a note of all.
        units: all that are to end.
        display: where the lines go.

    Attributes:
        stopping: whether the user has stopped the sweep: runs that did not end have not failed.
    """

    def __init__(self, sweep: Sweep, units: Iterable[Unit], display: Display) -> None:
        self.sweep = sweep
        self.display = display
        self.stopping = False
        self._left = Counter[int]()
        self.add(units)

    def add(self, units: Iterable[Unit]) -> None:
        """Wait for these units too."""
        self._left.update(unit.job.number for unit in units)

    @property
    def jobs(self) -> int:
        """How many jobs have units that have not ended."""
        return sum(left > 0 for left in self._left.values())

    def ended(self, unit: Unit, error: str | None, where: str) -> bool:
        """Take in a unit that has ended; return whether it was the last of its job.

        Args:
            unit: with those of its runs that said how they ended.
            error: of the runs that did not; None if there is no more to say of them.
            where: what says more about the runs that failed.
        """
        job = unit.job
        if error is not None and not self.stopping:
            for seed in sorted({*unit.seeds} - {run.seed for run in unit.ended}):
                folder = f"{unit.facts.group}/seed-{seed}"
                unit.ended.append(Ended(seed=seed, folder=folder, status="failed", error=error))
        for run in unit.ended:
            if run.status == "failed":
                self.sweep.fail(job, run, where)
        self.sweep.ended.setdefault(job.number, []).extend(unit.ended)
        self._left[job.number] -= 1
        if self._left[job.number]:
            return False
        self._conclude(job)
        return True

    def _conclude(self, job: Job) -> None:
        """Print how a job ended, once all its units have."""
        facts, trained = self.sweep.facts[job.number], self.sweep.ended[job.number]
        seeds = {run.seed for run in trained}
        ended = [*(run for run in facts.before if run.seed not in seeds), *trained]
        failed = len(ended) < len(facts.seeds) or any(run.status == "failed" for run in ended)
        self.display.counts["failed" if failed else "done"] += 1
        if ended:
            self.display.line(f"{job.label}: {verdict(ended, self.display.show_test)}")
