"""The check of every job of a sweep, before the first of them trains; and what a dry run says."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tabulate import tabulate

from seqbench.errors import listed, say
from seqbench.processes import available_cores
from seqbench.results.rendering.rows import duration
from seqbench.sweeps import known, work
from seqbench.sweeps.job import Facts, Job, Refused
from seqbench.sweeps.outcome import FAILED
from seqbench.sweeps.processes import cause, start
from seqbench.sweeps.sweep import Sweep


def check(sweep: Sweep, timed: bool = False) -> int:
    """Find out what each job is that was not checked yet, and name those that cannot be run.

    The first with a sentence is named at once; others with the same one in one line, once all are checked.

    Args:
        sweep: of the jobs.
        timed: whether to measure what their steps take.

    Returns:
        How many GPUs those find that can be run.
    """
    unknown = []
    for job in sweep.jobs:
        if job.number in sweep.facts or job.number in sweep.refused:
            continue
        facts = known.known(job)
        if facts is None:
            unknown.append(job)
        else:
            sweep.facts[job.number] = facts
    if unknown:
        sweep.folder.mkdir(parents=True, exist_ok=True)
        others: dict[str, list[str]] = {}
        for job, answer in answers(unknown, sweep.folder, timed):
            if isinstance(answer, Refused):
                if answer.sentence in others:
                    others[answer.sentence].append(job.label)
                else:
                    others[answer.sentence] = []
                    say(f"{' '.join(job.typed)}: {answer.sentence}")
                sweep.codes.append(answer.exit_code)
                sweep.refused[job.number] = answer
            else:
                sweep.facts[job.number] = answer
                known.note(job, answer)
        for sentence, labels in others.items():
            if labels:
                say(f"{listed(labels)}: {sentence}")
    return max((facts.there for facts in sweep.facts.values() if facts.accelerator != "cpu"), default=0)


def say_same(sweep: Sweep) -> None:
    """Name the jobs that are the same runs, as where a key that is left out had its default all along."""
    of_group: dict[str, list[Job]] = defaultdict(list)
    for job in sweep.jobs:
        if (facts := sweep.facts.get(job.number)) is not None:
            of_group[facts.group].append(job)
    for group, jobs in of_group.items():
        uses = Counter(seed for job in jobs for seed in sweep.facts[job.number].seeds)
        same = [job.label for job in jobs if any(uses[seed] > 1 for seed in sweep.facts[job.number].seeds)]
        if same:
            say(f"{listed(same)} share runs: {group}.")


def answers(jobs: Sequence[Job], folder: Path, timed: bool) -> Iterator[tuple[Job, Facts | Refused]]:
    """Yield each job with what it is, found out by as many processes as there are cores.

    Args:
        jobs: to be checked.
        folder: for the logs of the processes.
        timed: whether to measure what their steps take.
    """
    waiting: deque[Job] = deque(jobs)
    asked: dict[Connection, Job] = {}
    processes: dict[Connection, Any] = {}

    def begin() -> Connection:
        process, connection = start(work.check, folder / f"check-{len(processes)}.log", {}, timed)
        processes[connection] = process
        return connection

    def ask(connection: Connection) -> None:
        asked[connection] = waiting.popleft()
        connection.send(asked[connection])

    try:
        for _ in range(min(len(jobs), available_cores())):
            ask(begin())
        while asked:
            for ready in wait(list(asked)):
                assert isinstance(ready, Connection)
                job = asked.pop(ready)
                try:
                    answer: Facts | Refused = ready.recv()
                    free = ready
                except (EOFError, OSError):  # where it has not read its job, the connection is reset
                    processes[ready].join()
                    answer = Refused(f"its check was ended by {cause(processes[ready].exitcode)}", FAILED)
                    free = begin() if waiting else ready
                yield job, answer
                if waiting:
                    ask(free)
    finally:
        for connection, process in processes.items():
            connection.close()
            process.kill()
            process.join()
            process.close()


def say_plan(sweep: Sweep) -> None:
    """Print what a sweep would run; nothing where all of it is refused, which has been said."""
    if not sweep.facts:
        return
    rows: list[list[str]] = []
    counted: set[tuple[str, int]] = set()
    seconds = 0.0
    for job in sweep.jobs:
        facts = sweep.facts.get(job.number)
        if facts is None:
            rows.append([job.label, "refused"])
            continue
        left = {(facts.group, seed) for seed in {*facts.seeds} - {run.seed for run in facts.done}} - counted
        counted |= left
        steps = len(left) * facts.max_steps
        took = steps * (facts.seconds_per_step or 0.0) * facts.threads
        seconds += took
        done = f"{len(facts.done)}/{len(facts.seeds)}"
        rows.append([job.label, done, f"{facts.parameters:,}", duration(took) if took else "—", facts.group])
    print(tabulate(rows, headers=["job", "done", "parameters", "core time", "folder"]))
    jobs = f"{len(sweep.jobs)} job{'s' if len(sweep.jobs) > 1 else ''}"
    if any(job.gpus for job in sweep.jobs):
        print(f"{jobs}; what they take on GPUs that are not here is not known.")
    else:
        print(f"{jobs}, at most about {duration(seconds)} of one core.")
