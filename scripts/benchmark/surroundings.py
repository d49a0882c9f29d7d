"""The process that measures: one thread on one core, with the same memory settings for all sides."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

#: Read by the C library, OpenMP and XLA when they start.
SETTINGS = {
    # The process keeps the memory that it frees, as `seqbench.runs.devices.keep_freed_memory` makes it do ...
    "MALLOC_MMAP_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    # ... and so do threads beside the first, such as the one in which JAX computes: without this a step of
    # 16 seeds under JAX's vmap takes twice as long.
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "WANDB_MODE": "offline",
}
#: Holds the cores that the process had before it was pinned to one.
CORES = "SEQBENCH_BENCH_CORES"


def start_again_with_settings() -> None:
    """Replace this process by one that has the settings, pinned to one core; does nothing in that one."""
    if CORES in os.environ:
        return
    os.environ.update(SETTINGS)
    os.environ[CORES] = ",".join(map(str, available_cores()))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.argv])


def available_cores() -> list[int]:
    """Return the cores that may be used, those of before this process was pinned."""
    if CORES in os.environ:
        return [int(core) for core in os.environ[CORES].split(",")]
    if not hasattr(os, "sched_getaffinity"):  # macOS cannot pin
        return list(range(os.cpu_count() or 1))
    return sorted(os.sched_getaffinity(0))


def use_cores(count: int) -> None:
    """Confine this process, and the threads that it starts from now on, to the last `count` cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, available_cores()[-count:])


def in_new_process(
    function: Callable[..., Any],
    *arguments: Any,
    environment: dict[str, str] | None = None,
) -> Any:
    """Return what a function of these modules returns in a process of its own.

    Args:
        function: what is called, with `arguments`.
        environment: further environment variables.
    """
    context = multiprocessing.get_context("spawn")
    with (
        patch.dict(os.environ, environment or {}),
        concurrent.futures.ProcessPoolExecutor(1, context, use_cores, (1,)) as pool,
    ):
        return pool.submit(function, *arguments).result()


def in_new_program(module: str, arguments: list[str]) -> str:
    """Return what `python -m MODULE ARGUMENTS` prints, for one of these modules.

    It has none of the settings, as someone's who calls `seqbench`, and no parent that seqbench could take for
    one that runs several jobs at once.
    """
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS or name == "WANDB_MODE"}
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", module, *arguments]
    environment = kept | {"PYTHONPATH": path}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
