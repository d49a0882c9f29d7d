"""The execution mode: how the passes of several seeds are executed.

A mode is a pair: whether the seeds are vectorised, and the engine of `seqbench.models.unfold`. Modes differ
in speed and in the order of summation alone. The fastest is measured before a run starts.
"""

from __future__ import annotations

import shutil
import statistics
import time
from contextlib import suppress
from typing import Literal, NamedTuple

import torch

from seqbench.models.unfold import Engine
from seqbench.tasks.batch import Batch
from seqbench.training.updates import GradientDescent

#: Another mode is preferred where it takes at most this share of the plain mode's time.
WORTH = 0.87
#: Seconds of training from which on compiling pays, which takes up to half a minute.
LONG = 240.0


class ExecutionMode(NamedTuple):
    """How a pass is executed, see `SeedStack.set_mode`."""

    vectorized: bool
    engine: Engine | None

    def __str__(self) -> str:
        engine = "" if self.engine is None else f", engine {self.engine}"
        return f"seeds {'vectorized' if self.vectorized else 'sequential'}{engine}"


def fastest_mode(
    update: GradientDescent, batch: Batch, steps: int, vectorize: bool | Literal["auto"]
) -> ExecutionMode:
    """Return the fastest mode to train in; weights, gradients and generators stay as they were.

    The plain mode, sequential and with each cell's own engine, is kept unless another one is clearly faster,
    so that noise does not decide.

    Args:
        update: the models and their loss; an engine other than auto is kept.
        batch: one step's batch, (K, B, …).
        steps: steps that are left to train.
        vectorize: whether seeds are vectorised, where that is given.
    """
    stack = update.stack
    if update.config.omega:  # Ω takes every model by itself, step by step, whatever the engine
        return ExecutionMode(False, stack.engine)
    choices = [False, True] if vectorize == "auto" else [vectorize]
    if len(stack) == 1:
        choices = [False]
    modes = [ExecutionMode(choice, stack.engine) for choice in choices]
    may_compile = stack.engine == "auto" and can_compile(batch.inputs.device)
    if len(modes) == 1 and not may_compile:
        return modes[0]
    times = _measure(update, batch, modes)
    if times and may_compile and steps * min(times.values()) > LONG:
        times |= _measure(update, batch, [ExecutionMode(choice, "compile") for choice in choices])
    if not times:  # not even the plain mode runs; training will say why
        return modes[0]
    plain, best = next(iter(times)), min(times, key=lambda mode: times[mode])
    return best if times[best] < WORTH * times[plain] else plain


def _measure(update: GradientDescent, batch: Batch, modes: list[ExecutionMode]) -> dict[ExecutionMode, float]:
    """Return the seconds of one step's passes in each mode that runs, the median of up to three."""
    times = {}
    for mode in modes:
        update.stack.set_mode(*mode)
        # vmap and the compiler refuse many things, by many kinds of exception.
        with torch.random.fork_rng(), suppress(Exception):
            _pass(update, batch)
            seconds: list[float] = []
            while len(seconds) < 3 and sum(seconds) < 2:
                seconds.append(_pass(update, batch))
            times[mode] = statistics.median(seconds)
        update.stack.zero_grad()
    return times


def _pass(update: GradientDescent, batch: Batch) -> float:
    start = time.perf_counter()
    losses = update.losses(batch)
    if losses.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def can_compile(device: torch.device) -> bool:
    """Whether torch's compiler finds what it needs: on a CPU a C++ compiler."""
    if device.type == "cpu":
        return shutil.which("g++") is not None or shutil.which("clang++") is not None
    return device.type == "cuda"
