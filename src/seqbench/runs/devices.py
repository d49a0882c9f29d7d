"""The devices of a run: how many there are, their names and memory; and the commit of the code."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from lightning.pytorch.accelerators import Accelerator, AcceleratorRegistry

from seqbench.config.presets import CONF_DIR
from seqbench.errors import ConfigError
from seqbench.models.unfold.fused import compiler
from seqbench.processes import machines
from seqbench.training.settings import TrainerSettings
from seqbench.versions import versions as of_packages

#: How many GPUs the machine has that plans are made for, where it is not this one: a node of a cluster.
elsewhere: int | None = None


def accelerator(settings: TrainerSettings) -> str:
    """Return the name of the accelerator, as Lightning registers it.

    Raises:
        ConfigError: there is no such accelerator here.
    """
    name = settings.accelerator
    if name == "gpu":
        name = "mps" if elsewhere is None and torch.backends.mps.is_available() else "cuda"
    if name == "auto":
        name = next((kind for kind in ("cuda", "mps") if _is_available(kind)), "cpu")
    if name not in AcceleratorRegistry:
        known = ", ".join(sorted(("auto", "gpu", *AcceleratorRegistry)))
        raise ConfigError(f"trainer.accelerator={settings.accelerator} is unknown; there are {known}.")
    if not _is_available(name):
        raise ConfigError(f"trainer.accelerator={settings.accelerator} is not available on this machine.")
    return name


def world_size(settings: TrainerSettings) -> int:
    """Return how many processes share each batch, one for each device.

    Raises:
        ConfigError: there is no such accelerator here, it has fewer devices, or their processes cannot be
            started.
    """
    name = accelerator(settings)
    there = count(name)
    if name == "cpu":  # as many processes as one asks for
        devices = max(settings.devices, 1)
    else:
        devices = there if settings.devices == -1 else settings.devices
        if devices > there * machines(devices):
            raise ConfigError(
                f"trainer.devices={settings.devices} is more than the {there} that this machine has; "
                "torchrun starts jobs on several machines."
            )
    if devices == 1 and settings.strategy != "auto":
        raise ConfigError(
            f"trainer.strategy={settings.strategy} says how devices share batches, and there is one; leave "
            "it out, or give trainer.devices=2 or more."
        )
    if devices > 1 and hasattr(sys, "ps1"):
        raise ConfigError(
            f"trainer.devices={settings.devices} starts the program again for each device, which an "
            "interactive session does not allow; put it into a script."
        )
    return devices


def count(accelerator: str) -> int:
    """Return how many devices of a kind there are."""
    if elsewhere is not None and accelerator != "cpu":
        return elsewhere if accelerator == "cuda" else 0
    return int(_class(accelerator).auto_device_count())


def _class(accelerator: str) -> type[Accelerator]:
    kind: type[Accelerator] = AcceleratorRegistry[accelerator]["accelerator"]
    return kind


def _is_available(accelerator: str) -> bool:
    if elsewhere is not None:
        return count(accelerator) > 0
    return bool(_class(accelerator).is_available())


def reset_peak_memory() -> None:
    """Start a new measurement of `peak_memory`, where the system allows it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux alone has it
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Return the largest number of bytes held at once: by tensors on a GPU, else by the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_name(device: torch.device, count: int = 1) -> str:
    """Return the name of a device, or of `count` of its kind."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return name if count == 1 else f"{count} × {name}"


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
    """Return the commit of the checkout that the code runs from; None for code that is installed.

    Where there are uncommitted changes it ends in + and a hash of them.
    """
    package = Path(__file__).parents[1]
    code = ["--", str(package), str(CONF_DIR)]

    def git(*args: str) -> bytes:
        return subprocess.run(
            ["git", "-C", str(package), *args], capture_output=True, check=True
        ).stdout.strip()

    try:
        # Fails in a repository into whose folder the package is merely installed.
        git("ls-files", "--error-unmatch", __file__)
        commit = git("rev-parse", "HEAD").decode()
        changes = git("diff", "--no-ext-diff", "HEAD", *code)
        new = git("ls-files", "--others", "--exclude-standard", "--full-name", "-z", *code)
        root = Path(git("rev-parse", "--show-toplevel").decode())
        changes += b"".join(
            name + (root / os.fsdecode(name)).read_bytes() for name in new.split(b"\0") if name
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + (f"+{hashlib.sha256(changes).hexdigest()[:6]}" if changes else "")


@cache
def versions() -> dict[str, str]:
    """Return the versions that a result holds: of packages, and of the compiler, which decides rounding."""
    return of_packages() | {"compiler": (compiler() or ("", ""))[1]}


@cache
def made_with() -> dict[str, str]:
    """Return what a process trains with: the commit of the code, and the versions that decide rounding."""
    return versions() | {"commit": commit() or ""}


@cache
def keep_freed_memory() -> None:
    """Make the process keep the memory that it frees, for reuse.

    The C library of Linux returns large blocks at once, and at the next step the kernel fills new ones with
    zeros, which takes a third of the time of a step with several seeds. Elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-8, 1)  # M_ARENA_MAX: the thresholds hold for the first arena; threads would have others


def release_freed_memory() -> None:
    """Return to the system what `keep_freed_memory` has kept."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
