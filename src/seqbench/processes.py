"""Which processes share the batches of a job, and which of them this is.

One device is one process, whatever the environment says: a container, a cluster or a parent process may have
set `RANK`, `SLURM_PROCID` and their like for something else. Several processes share batches only where the
user asks for several devices. They are those that torchrun has started, if it started as many, or else those
that Lightning starts from the first one.

Where one of these ends before its time, the first one ends with a sentence; where the first one ends, all do.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from seqbench.errors import ConfigError, SeqbenchError, say

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

#: Seconds in which the first process finds out by itself that another one has ended. With gloo the next
#: exchange fails at once; NCCL would wait for the other one for ever.
PATIENCE = 10.0

_rank = 0
_others: list[subprocess.Popen[bytes]] = []
_independent = threading.Event()  # while this process waits for no other one
_independent.set()


class ProcessError(SeqbenchError):
    """One of the processes that share batches has ended before its time."""

    exit_code = 1


def is_first_process() -> bool:
    """Whether this is the process that writes: of those that share the batches of the job, the first."""
    return _rank == 0


def is_parallel_job() -> bool:
    """Whether another process of Python has started this one, to run several jobs of a sweep at once."""
    return multiprocessing.parent_process() is not None


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the context torch has one thread: the order of a sum, and so its last digits, depend on them."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
    left = threading.Event()
    if world_size > 1 and os.environ.get(STARTED, "").startswith(f"{os.getppid()}:"):
        threading.Thread(target=_follow, args=(os.getppid(), left), daemon=True).start()
    try:
        yield
    except BaseException:
        end_others()  # they would wait for this one
        raise
    finally:
        left.set()
        _rank, lightning.rank = before


def watch(others: Sequence[subprocess.Popen[bytes]]) -> None:
    """Take charge of the processes that this one has started to share its batches with, by their numbers."""
    _others[:] = others
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while not any(process.poll() for process in _others):
        time.sleep(1)
    if not _independent.wait(PATIENCE):
        say(str(loss()))
        end_others()
        os._exit(ProcessError.exit_code)


def _follow(parent: int, left: threading.Event) -> None:
    """End this process where the one that has started it is no more."""
    while not left.wait(1):
        if os.getppid() != parent:
            os._exit(ProcessError.exit_code)


@contextmanager
def exchanging() -> Iterator[None]:
    """Within the context the processes exchange tensors, and may wait for one that has ended."""
    _independent.clear()
    try:
        yield
    finally:
        _independent.set()


def loss(seconds: float = 0.0) -> ProcessError | None:
    """Return the error that one of the others has ended before its time; None if none has within a time."""
    until = time.monotonic() + seconds
    while not any(process.poll() for process in _others):
        if time.monotonic() >= until:
            return None
        time.sleep(0.01)
    rank, ended = next((k, process) for k, process in enumerate(_others, 1) if process.returncode)
    how = f"ended with the exit code {ended.returncode}"
    if ended.returncode < 0:
        how = f"was killed by {signal.Signals(-ended.returncode).name}"
        if ended.returncode == -signal.SIGKILL:
            how += ", as the system does where memory is short"
    return ProcessError(
        f"process {rank + 1} of the {len(_others) + 1} that share batches {how}. "
        "The same command resumes the run from its last checkpoint."
    )


def end_others() -> None:
    """Kill the processes that this one has started to share its batches with."""
    for process in _others:
        process.kill()
        process.wait()


def check_others() -> None:
    """Raise a ProcessError if another run has taken the others with it."""
    if any(process.poll() for process in _others):
        raise ProcessError(
            "the processes that share batches ended with the run before; the same command goes on with the "
            "seeds that are missing."
        )


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
