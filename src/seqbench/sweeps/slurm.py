"""`hydra/launcher=slurm`: the units of a sweep as the tasks of Slurm arrays.

submitit writes and submits the batch scripts. What became of the tasks `squeue` says, because `sacct` needs a
database that not every cluster has.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from seqbench.errors import ConfigError, say
from seqbench.signals import Stopped, handled
from seqbench.sweeps import queue
from seqbench.sweeps.display import Display
from seqbench.sweeps.gathering import Gathering, display_of
from seqbench.sweeps.job import Job
from seqbench.sweeps.remote import Part, plan, report, train_there
from seqbench.sweeps.sweep import Sweep

#: Seconds before its time is up that a job is told.
WARNING = 90
#: The state of a job that Slurm does not know any more.
GONE = "gone"
#: Seconds between two looks at the queue: longer the longer the sweep takes.
LOOKS = (2.0, 30.0)
#: What stands in a batch script. One line, and nothing that quotes.
PLAIN = re.compile(r"[\w.,:@%+=/-]+")
OPTION = re.compile(r"[a-z][a-z-]*")
#: Options of sbatch that the launcher sets itself.
OWN = ("array", "error", "job-name", "open-mode", "output", "requeue", "no-requeue", "signal", "wrap")


@dataclass(frozen=True)
class SlurmSettings:
    """How a sweep is run on a cluster: `hydra.launcher.…`, described in `conf/hydra/launcher/slurm.yaml`.

    Raises:
        ConfigError: a value cannot be one.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: int | str | None = None
    gpus_per_job: int | None = None
    cpus_per_job: int | None = None
    memory_per_job: str | None = None
    seeds_per_job: int | None = None
    n_jobs: int | None = None
    requeue: int = 10
    setup: Sequence[str] = ()
    sbatch: Mapping[str, Any] = field(default_factory=dict)
    retry_failed: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        for key in ("partition", "account", "qos", "time", "memory_per_job"):
            value = getattr(self, key)
            if value is not None and not PLAIN.fullmatch(str(value)):
                raise ConfigError(f"hydra.launcher.{key}={value} is nothing that sbatch takes.")
        for key in ("gpus_per_job", "cpus_per_job", "seeds_per_job", "n_jobs", "requeue"):
            value, least = getattr(self, key), int(key not in ("gpus_per_job", "requeue"))
            if value is not None and (type(value) is not int or value < least):
                raise ConfigError(f"hydra.launcher.{key}={value} must be a whole number, at least {least}.")
        for option, value in self.sbatch.items():
            name = str(option).replace("_", "-")
            if name in OWN or not OPTION.fullmatch(name) or not str(value).isprintable():
                raise ConfigError(
                    f"hydra.launcher.sbatch.{option}={value} is no option of sbatch that can be given here."
                )

    def options(self, gpus: int, cpus: int, count: int) -> dict[str, Any]:
        """Return the parameters of submitit for so many tasks, each with so many GPUs and cores."""
        return {
            "job_name": queue.NAME,
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "time": self.time,
            "nodes": 1,
            "ntasks_per_node": 1,
            "cpus_per_task": cpus,
            "gres": f"gpu:{gpus}" if gpus else None,
            "mem": self.memory_per_job,
            "array_parallelism": self.n_jobs or count,
            "setup": list(self.setup),
            "wckey": None,
            "use_srun": False,  # the batch script becomes the program, which has all that the job has
            "additional_parameters": {
                "signal": f"B:USR2@{WARNING}",
                "requeue" if self.requeue else "no-requeue": True,
                **self.sbatch,
            },
        }


def launch(
    jobs: Sequence[Job], folder: Path, settings: SlurmSettings, on_run: Callable[[Path], object]
) -> list[int]:
    """Run the jobs of a sweep on the cluster; return the exit codes of what failed.

    Args:
        jobs: all of them.
        folder: for batch scripts and logs.
        settings: how.
        on_run: called with the folder of each run that has a result.

    Raises:
        ConfigError: the settings do not fit the cluster, or there is none.
        Stopped: the user has stopped it. What is in the queue stays there.
    """
    queue.check_cluster(settings.partition)
    sweep = Sweep(list(jobs), folder)
    left, parts = plan(sweep, settings, on_run)
    if settings.dry_run:
        return sweep.codes
    followed, parts = queue.already_there(parts)
    for part in followed:
        say(f"{part.unit.label} is in the queue already, as job {part.id}.")
    _submit(parts, sweep.folder, settings)
    parts += followed
    with display_of(sweep, left, settings.n_jobs or len(parts) or 1) as display:
        _follow(sweep, parts, display, on_run)
    queue.forget(parts)
    for line in sweep.failures:
        say(line)
    return sweep.codes


def _submit(parts: Sequence[Part], folder: Path, settings: SlurmSettings) -> None:
    """Submit parts, those of equal needs as one array.

    Raises:
        ConfigError: Slurm refuses them.
    """
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    alike: dict[tuple[int, int], list[Part]] = defaultdict(list)
    for part in parts:
        alike[int(part.gpus), part.cpus].append(part)
    longest = max(map(len, alike.values()), default=0)
    if longest and longest > (most := queue.largest_array()):
        raise ConfigError(
            f"The sweep makes an array of {longest} jobs, and this cluster takes at most {most}; give more "
            "hydra.launcher.seeds_per_job, or a part of the sweep at a time."
        )
    for (gpus, cpus), its in alike.items():
        executor = SlurmExecutor(folder.resolve(), python=f"exec {shlex.quote(sys.executable)}")
        executor.update_parameters(**settings.options(gpus, cpus, len(its)))
        calls = [partial(run, p.unit.job, p.unit.seeds, p.folder, p.at_once, settings.requeue) for p in its]
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                submitted = executor.submit_array(calls)
        except (FailedJobError, FailedSubmissionError) as error:
            reasons = re.findall(r"error: (.*)", f"{error}\n{said.getvalue()}")
            why = "; ".join(dict.fromkeys(reason.rstrip(".") for reason in reasons)) or str(error)
            raise ConfigError(f"Slurm refuses the jobs: {why}.") from error
        for part, job in zip(its, submitted, strict=True):
            part.id, part.log = job.job_id, job.paths.stderr
        queue.note(its)
        name = queue.array_of(its[0])
        print(
            f"{len(its)} jobs in the queue: {name}, logs in {folder}; `scancel {name}` cancels them.",
            flush=True,
        )


def _follow(sweep: Sweep, parts: Sequence[Part], display: Display, on_run: Callable[[Path], object]) -> None:
    """Wait until all parts have left the queue, and say how each job ended.

    Raises:
        Stopped: the user has stopped it.
    """
    gathering = Gathering(sweep, [part.unit for part in parts], display)
    open_, begun = dict(enumerate(parts)), monotonic()
    missed: set[int] = set()  # not in the queue at the last look: Slurm may show a job a moment late
    try:
        while open_:
            states: dict[str, str] | None = None
            with contextlib.suppress(ConfigError):  # it may answer later
                states = queue.states()
            for number, part in list(open_.items()) if states is not None else ():
                state = (states or {}).get(part.id, GONE)
                if state == GONE and number not in missed:
                    missed.add(number)
                    continue
                if number in display.running and state not in queue.AT_WORK:
                    display.ended(number)
                if state in queue.AT_WORK:
                    if number not in display.running:
                        display.started(number, part.unit)
                    report(display, number, part)
                elif state not in (*queue.AT_WORK, *queue.WAITING):
                    del open_[number]
                    part.collect(on_run)
                    gathering.ended(part.unit, _cause(part, state), f"its log: {part.log}")
            display.waiting = [part.unit for number, part in open_.items() if number not in display.running]
            display.tick()
            if open_:
                sleep(min(max(LOOKS[0], (monotonic() - begun) / 20), LOOKS[1]))
    except (KeyboardInterrupt, Stopped):
        arrays = " ".join(dict.fromkeys(queue.array_of(part) for part in open_.values()))
        display.warn(
            f"the jobs stay in the queue; `scancel {arrays}` cancels them, and the same command follows them."
        )
        raise


def _cause(part: Part, state: str) -> str:
    """Return why runs of a part that has left the queue have no result."""
    ended = f"its job {part.id} " + ("has left the queue" if state == GONE else f"ended as {state}")
    if state == "FAILED":  # by itself, and it said why
        with contextlib.suppress(OSError):
            lines = part.log.read_text(errors="replace").splitlines()
            if said := [line for line in lines if line.startswith("seqbench: ")]:
                return f"{ended}: {said[-1].removeprefix('seqbench: ').rstrip('.')}"
    return ended


def run(job: Job, seeds: range, folder: Path, at_once: int | None, requeue: int) -> None:
    """Train seeds of a job: what runs in a job of Slurm. Its exit code is what Slurm shows.

    Before its time is up it writes checkpoints and goes back into the queue, up to `requeue` times.
    """
    is_over = False

    def stop(*_: object) -> None:
        nonlocal is_over
        is_over = True
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGUSR2, stop)
    try:
        with handled():
            code = train_there(job, seeds, folder, at_once)
    except Stopped:
        times = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        if is_over and times < requeue:
            say("the time of this job is up; it goes back into the queue.")
            subprocess.run(["scontrol", "requeue", queue.own_id()], check=True)
        elif is_over:
            say(f"the time of this job is up, after it was requeued {times} times; hydra.launcher.requeue=…")
        raise
    if code:
        raise SystemExit(code)
