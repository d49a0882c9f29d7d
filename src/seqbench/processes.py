"""Which processes share the batches of a job, and which of them this is.

One device is one process, whatever the environment says: a container, a cluster or a parent process may have
set `RANK`, `SLURM_PROCID` and their like for something else. Several processes share batches only where the
user asks for several devices. They are those that torchrun has started, if it started as many, or else those
that Lightning starts from the first one.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from seqbench.errors import ConfigError

#: Set where Lightning starts processes: `<id of the process that starts the others>:<how many there are>`.
#: So a process knows whether its number among them is meant for it.
STARTED = "SEQBENCH_PROCESSES"
#: Where Lightning looks, when it is imported, for a process's number. It fails if that is no number.
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
#: What Lightning and torch take for the description of a group of processes.
GROUP = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "STANDALONE_PORT"),
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE"),
)

_rank = 0


def is_first_process() -> bool:
    """Whether this is the process that writes: of those that share the batches of the job, the first."""
    return _rank == 0


def is_parallel_job() -> bool:
    """Whether another process of Python has started this one, to run several jobs of a sweep at once."""
    return multiprocessing.parent_process() is not None


@contextmanager
def sharing(world_size: int) -> Iterator[None]:
    """Within the context this is one of `world_size` processes that share the batches of a job.

    Raises:
        ConfigError: this program has already started another number of processes.
    """
    from lightning.pytorch.utilities import rank_zero_only  # decides which process logs

    global _rank
    lightning: Any = rank_zero_only
    before = _rank, lightning.rank
    _rank = lightning.rank = _join(world_size)
    try:
        yield
    finally:
        _rank, lightning.rank = before


def started_by_torchrun(world_size: int) -> bool:
    """Whether torchrun has started so many processes, and this is one of them."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or _number("WORLD_SIZE") != world_size:
        return False
    if min(map(_number, ("RANK", "LOCAL_RANK", "MASTER_PORT"))) < 0 or _number("LOCAL_WORLD_SIZE") < 1:
        return False
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    # The variables may be left over; torchrun itself listens as long as its processes run.
    return _listens(os.environ.get("MASTER_ADDR", ""), _number("MASTER_PORT"))


def machines(world_size: int) -> int:
    """Return on how many machines the processes run that share batches."""
    if world_size == 1 or not started_by_torchrun(world_size):
        return 1
    return world_size // _number("LOCAL_WORLD_SIZE")


def forget_what_is_no_number() -> None:
    """Remove variables that should hold a process's number and hold none; `import lightning` would fail."""
    for name in RANKS:
        try:
            int(os.environ.get(name, "0"))
        except ValueError:
            del os.environ[name]


def _join(world_size: int) -> int:
    """Return the number of this process, and leave no variable in place that says otherwise."""
    if world_size == 1:
        return 0
    if started_by_torchrun(world_size):
        return _number("RANK")
    starter, _, count = os.environ.get(STARTED, "").partition(":")
    rank = _number("LOCAL_RANK")
    # Lightning sets LOCAL_RANK when it starts the others, for them and for the process that starts them.
    if starter == str(os.getpid() if rank == 0 else os.getppid()) and rank >= 0:
        if count != str(world_size):
            raise ConfigError(
                f"trainer.devices={world_size} cannot follow the job before it, for which this program has "
                f"started {count} processes; run each in a program of its own."
            )
        return rank
    for name in GROUP:
        os.environ.pop(name, None)
    os.environ[STARTED] = f"{os.getpid()}:{world_size}"
    return 0


@cache
def _listens(address: str, port: int) -> bool:
    with suppress(OSError, OverflowError):
        socket.create_connection((address, port), timeout=5).close()
        return True
    return False


def _number(name: str) -> int:
    """Return the whole number in an environment variable; -1 if there is none."""
    value = os.environ.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else -1
