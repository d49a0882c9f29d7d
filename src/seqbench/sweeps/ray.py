"""`hydra/launcher=ray`: the units of a sweep as tasks of a Ray cluster, or of Ray on this machine."""

from __future__ import annotations

import math
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seqbench.errors import ConfigError, say
from seqbench.processes import available_cores
from seqbench.signals import Stopped, deferred
from seqbench.sweeps.display import Display
from seqbench.sweeps.gathering import Gathering, display_of
from seqbench.sweeps.job import Job
from seqbench.sweeps.remote import Part, plan, report, train_there
from seqbench.sweeps.sweep import Sweep

#: Ray reports to its makers, and writes a token into the home folder, unless told otherwise.
VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
#: Seconds between two looks at the tasks.
LOOK = 0.5


@dataclass(frozen=True)
class RaySettings:
    """How a sweep is run by Ray: `hydra.launcher.…`, described in `conf/hydra/launcher/ray.yaml`.

    Raises:
        ConfigError: a value cannot be one.
    """

    address: str | None = None
    gpus_per_job: float | None = None
    cpus_per_job: int | None = None
    seeds_per_job: int | None = None
    n_jobs: int | None = None
    retry_failed: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        for key in ("cpus_per_job", "seeds_per_job", "n_jobs"):
            value = getattr(self, key)
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(f"hydra.launcher.{key}={value} must be a whole number, at least 1.")
        gpus = self.gpus_per_job
        if gpus is not None and (gpus < 0 or (gpus > 1 and gpus != int(gpus))):
            raise ConfigError(
                f"hydra.launcher.gpus_per_job={gpus:g} must be a fraction of a GPU, such as 0.5, or a whole "
                "number of them."
            )


def launch(
    jobs: Sequence[Job], folder: Path, settings: RaySettings, on_run: Callable[[Path], object]
) -> list[int]:
    """Run the jobs of a sweep by Ray; return the exit codes of what failed.

    Args:
        jobs: all of them.
        folder: for logs.
        settings: how.
        on_run: called with the folder of each run that has a result.

    Raises:
        ConfigError: there is no such cluster, or it never has what a job needs.
        Stopped: the user has stopped it, and each task has ended.
    """
    if find_spec("ray") is None:
        raise ConfigError("hydra/launcher=ray needs Ray, seqbench's extra ray: pip install ray.")
    sweep = Sweep(list(jobs), folder)
    left, parts = plan(sweep, settings, on_run)
    if settings.dry_run:
        return sweep.codes
    if parts:
        _connect(settings.address)
        _check_room(parts)
    with display_of(sweep, left, settings.n_jobs or len(parts) or 1) as display:
        _train(sweep, parts, settings.n_jobs, display, on_run)
    for line in sweep.failures:
        say(line)
    return sweep.codes


def _connect(address: str | None) -> None:
    """Join a cluster, or start one on this machine.

    Raises:
        ConfigError: there is none at the address.
    """
    os.environ |= VARIABLES
    import ray

    # Ray's handler of SIGTERM would end this program before the tasks have written checkpoints.
    handler = signal.getsignal(signal.SIGTERM)
    own = {"num_cpus": available_cores(), "include_dashboard": False} if address is None else {}
    address = address or "local"
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"hydra.launcher.address={address}: there is no Ray cluster ({error}).") from error
    finally:
        signal.signal(signal.SIGTERM, handler)


def _check_room(parts: Sequence[Part]) -> None:
    """Raise a ConfigError if no machine of the cluster has what a part needs: it would wait for ever."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for part in parts:
        if not any(_fits(part, node) for node in nodes):
            raise ConfigError(
                f"{part.unit.label} needs {part.cpus} cores and {part.gpus:g} GPUs, and no machine of the "
                "Ray cluster has as much; see hydra.launcher.cpus_per_job and gpus_per_job."
            )


def _room(part: Part) -> int:
    """Return how many such parts the cluster has room for when nothing runs."""
    import ray

    there = ray.cluster_resources()
    by_gpu = there.get("GPU", 0) / part.gpus if part.gpus else math.inf
    return max(1, int(min(there.get("CPU", 0) / part.cpus, by_gpu)))


def _fits(part: Part, node: Mapping[str, float]) -> bool:
    return part.cpus <= node.get("CPU", 0) and part.gpus <= node.get("GPU", 0)


def _train(
    sweep: Sweep,
    parts: Sequence[Part],
    n_jobs: int | None,
    display: Display,
    on_run: Callable[[Path], object],
) -> None:
    """Train parts.

    Raises:
        Stopped: the user has stopped it, and each task has ended.
    """
    import ray

    gathering = Gathering(sweep, [part.unit for part in parts], display)
    remote: Any = ray.remote(max_retries=0, max_calls=1)(run)
    waiting = deque(enumerate(parts))
    tasks: dict[Any, tuple[int, Part]] = {}

    def collect(seconds: float) -> None:
        with deferred():  # within, Ray makes an error of its own of a signal
            ended, _ = ray.wait(list(tasks), timeout=seconds)
        for task in ended:
            number, part = tasks.pop(task)
            try:
                error = f"its task ended with exit code {ray.get(task)}"
            except ray.exceptions.RayError as failure:
                error = _cause(failure)
            display.ended(number)
            part.collect(on_run)
            gathering.ended(part.unit, error, f"its log: {part.log}")

    try:
        while waiting or tasks:
            while waiting and len(tasks) < (n_jobs or _room(waiting[0][1])):
                number, part = waiting.popleft()
                part.log = part.folder / "log.txt"
                needs = remote.options(num_cpus=part.cpus, num_gpus=part.gpus)
                task = needs.remote(part.unit.job, part.unit.seeds, part.folder, part.at_once, Path.cwd())
                tasks[task] = number, part
                display.started(number, part.unit)
            display.waiting = [part.unit for _, part in waiting]
            collect(LOOK)
            for number, part in tasks.values():
                report(display, number, part)
            display.tick()
    except (KeyboardInterrupt, Stopped):
        gathering.stopping = True
        display.warn("stopping: each run keeps its last evaluation. Ctrl-C again stops at once.")
        for task in tasks:
            ray.cancel(task)
        while tasks:
            collect(LOOK)
        raise
    finally:
        if parts:
            ray.shutdown()


def _cause(failure: Exception) -> str:
    """Return why a task has ended without an exit code."""
    import ray

    if isinstance(failure, ray.exceptions.TaskCancelledError):
        return "its task was cancelled"
    if isinstance(failure, ray.exceptions.WorkerCrashedError):
        return "its worker was killed"
    return f"its task was lost: {str(failure).splitlines()[0]}"


def run(job: Job, seeds: range, folder: Path, at_once: int | None, where: Path) -> int:
    """Train seeds of a job: what runs in a task of Ray; return the exit code.

    Args:
        where: the working directory, where relative folders begin.
    """
    os.chdir(where)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        return train_there(job, seeds, folder, at_once)
