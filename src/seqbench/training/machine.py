"""The machine that a run is on: its device, its memory, the code's commit."""

from __future__ import annotations

import ctypes
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import lightning as L
import torch


def reset_peak_memory() -> None:
    """Begin anew with what `peak_memory` returns, where the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux alone has it
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(trainer: L.Trainer) -> int:
    """Return the most bytes held at once: on a GPU by tensors, else by the process."""
    if trainer.strategy.root_device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_name(trainer: L.Trainer) -> str:
    """Return the name of the device, or devices, that a trainer uses."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return name if trainer.world_size == 1 else f"{trainer.world_size} × {name}"


@cache
def processor() -> str:
    """Return the name of the processor."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def commit() -> str | None:
    """Return the commit of the checkout that the code runs from, with + where it has changes."""
    git = ["git", "-C", str(Path(__file__).parent)]
    mine = ["ls-files", "--error-unmatch", Path(__file__).name]  # not a repository that this is installed in
    try:
        _, commit, changes = (
            subprocess.run([*git, *args], capture_output=True, text=True, check=True).stdout.strip()
            for args in (mine, ["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changes else "")


@cache
def keep_freed_memory() -> None:
    """Let the process keep the memory that it frees, to use it again.

    The C library of Linux gives larger blocks back at once, and at the next step the kernel fills new ones
    with zeros: a third of the time of a step with several seeds. Elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def release_freed_memory() -> None:
    """Give back what `keep_freed_memory` has kept."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
