"""The memory that a job needs at the least, held against what is free.

It says how many seeds train together, and a job without a chance is refused.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn

from seqbench.config.fit import shown
from seqbench.config.refusal import largest
from seqbench.errors import NoMemoryError
from seqbench.models.body import Stack
from seqbench.models.model import Model
from seqbench.runs import devices
from seqbench.tasks.base import Task
from seqbench.tasks.specs import Tokens

#: Copies of a weight while a model trains: the weight, its gradient, and the best one so far.
COPIES = 3
#: Of the two versions of control groups: the folder, the limit, what is used of it, and what of that are
#: cached files, which give way.
CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
#: Bytes of a number, and of a token.
NUMBER, TOKEN = 4, 8


def seeds_at_once(model: nn.Module, task: Task, config: dict[str, Any], trains_here: bool = False) -> int:
    """Return how many of a job's seeds train together, as their weights, batches and test sets fit in memory.

    Those that do not fit train after them. What is counted is less than what is needed: no activations but
    states, and no state of an optimiser. Seeds may have their passes one after another, so that each counts
    with the states of one step, and one of them with those that its way back needs.

    Args:
        model: one model, which may be on the device `meta`.
        task: what it is trained on.
        config: the resolved configuration.
        trains_here: whether it is trained in the memory that is counted: not on a GPU, and not only shown.

    Raises:
        NoMemoryError: not even one fits.
    """
    seeds: int = config["n_seeds"]
    if devices.elsewhere is not None or (free := free_memory()) is None:
        return seeds
    weights = sum(p.numel() * p.element_size() for p in model.parameters()) * COPIES
    weights += sum(b.numel() * b.element_size() for b in model.buffers())
    if weights > free:
        key = largest({part: config[part] for part in ("model", "task")})
        raise NoMemoryError(
            f"{key} makes a model that takes {amount(weights)} to train, {_left(free)}; give less."
        )
    batch, tests = _sets(task, config, free)
    states = config["batch_size"] * _state_size(model) * NUMBER
    if states > free:
        raise NoMemoryError(
            f"batch_size={config['batch_size']} and {largest({'model': config['model']})} make states of "
            f"{amount(states)} at a step, {_left(free)}; give less."
        )
    if (need := weights + batch + states) > free:
        raise NoMemoryError(
            f"batch_size={config['batch_size']} and {largest({'model': config['model']})} make weights, "
            f"states and a batch that take {amount(need)} together, {_left(free)}; give less."
        )
    if trains_here and (steps := _steps_kept(model, task, config)) > 1:
        half = str(config["trainer"]["precision"]) not in ("32-true", "64-true")
        kept = states * steps // config["trainer"]["accumulate"] // (2 if half else 1)
        if weights + batch + kept > free:
            raise NoMemoryError(
                f"batch_size={config['batch_size']} and {largest({'model': config['model']})} make states of "
                f"{amount(kept)} in {steps} steps, {_left(free)}; give less, or optim.truncate."
            )
    fit = (free - tests) // (weights + batch + states)
    return max(1, min(seeds, int(fit)))


def _state_size(model: nn.Module) -> int:
    """Return the numbers that a model carries for one sequence; 0 if a user's code needs memory to say so."""
    try:
        return int(getattr(model, "state_size", None) or 0)
    except Exception:  # whatever a user's code raises
        return 0


def _steps_kept(model: nn.Module, task: Task, config: dict[str, Any]) -> int:
    """Return of how many steps the way back needs the states; 1 where that is not known."""
    body = getattr(model, "body", None)
    trained = isinstance(model, Model) and model.trained_part is model
    if not (trained and isinstance(body, Stack)) or any(cell.runs_scan for cell in body.cells):
        return 1  # a scan keeps other things, and a readout alone needs no way back
    if body.checkpoint_steps is not None or body.dilations[-1] > 1:
        return 1
    return min(task.steps, config["optim"]["truncate"] or task.steps)


def check_sets(task: Task, config: dict[str, Any]) -> None:
    """Raise a NoMemoryError where a batch or a test set of a task takes more than what is free.

    Args:
        task: what is sampled.
        config: the resolved configuration.
    """
    if (free := free_memory()) is not None:
        _sets(task, config, free)


def _sets(task: Task, config: dict[str, Any], free: int) -> tuple[int, int]:
    """Return the bytes of a batch, and of the test set of the greatest length, which are at most `free`."""
    step = TOKEN if isinstance(task.inputs, Tokens) else NUMBER * task.inputs.size
    batch = config["batch_size"] * task.steps * step
    if batch > free:
        named = largest({"task": {k: v for k, v in config["task"].items() if not k.startswith("eval")}})
        raise NoMemoryError(
            f"batch_size={config['batch_size']} and {named} make a batch of {amount(batch)}, {_left(free)}; "
            "give less."
        )
    rows = getattr(task, "eval_size", 0)
    longest = max(task.eval_lengths, default=0)
    if (tests := rows * longest * step) > free:
        raise NoMemoryError(
            f"task.eval_size={shown(rows)} makes a test set of {amount(tests)} at length {longest}, "
            f"{_left(free)}; give less."
        )
    return batch, tests


def _left(free: int) -> str:
    return f"and {amount(free)} of memory are free"


def free_memory() -> int | None:
    """Return the bytes that a process may still take; None where the system does not say."""
    found: list[int] = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    for folder, limit, used, cached in CGROUPS:
        with suppress(OSError, ValueError, StopIteration):  # there is none, or it reads `max`
            most, taken = (int(Path(folder, name).read_text()) for name in (limit, used))
            lines = Path(folder, "memory.stat").read_text().splitlines()
            cache = int(next(line for line in lines if line.startswith(f"{cached} ")).split()[1])
            found.append(most - taken + cache)
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return max(min(found), 0) if found else None


def amount(size: float) -> str:
    """Return a number of bytes in words: `4.0 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} EB"
