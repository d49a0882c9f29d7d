"""Which way of doing the same sums is fastest here: measured before a run starts.

A way is a pair: whether seeds go `together`, and the engine of `seqbench.models.unfold`. Ways differ in
speed, and in the order of summation, alone.
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
from seqbench.tasks.specs import Target
from seqbench.training.seeds import SeedStack

#: What another way must take at most, as a share of the plain one's time, to be preferred to it.
WORTH = 0.87
#: Seconds of training from which on it pays to compile, which takes up to half a minute.
LONG = 240.0


class Way(NamedTuple):
    """How a pass goes, see `SeedStack.run_with`."""

    together: bool
    engine: Engine | None

    def __str__(self) -> str:
        engine = "" if self.engine is None else f", engine {self.engine}"
        return f"seeds {'together' if self.together else 'in turn'}{engine}"


def fastest(
    stack: SeedStack, target: Target, batch: Batch, steps: int, together: bool | Literal["auto"]
) -> Way:
    """Return the fastest way to train; leave weights and generators as they were, and no gradient.

    The plain way, seeds in turn and each cell's own engine, is kept unless another one is clearly faster, so
    that noise does not choose.

    Args:
        stack: the models; an engine other than auto stays theirs.
        target: whose loss is taken.
        batch: one step's batch, (K, B, …).
        steps: how many steps there are to go.
        together: whether seeds go together, where that is settled.
    """
    if stack.omega:  # it takes every step of every model by itself, whatever the engine
        return Way(False, stack.engine)
    togethers = [False, True] if together == "auto" else [together]
    if len(stack) == 1:
        togethers = [False]
    ways = [Way(each, stack.engine) for each in togethers]
    may_compile = stack.engine == "auto" and can_compile(batch.inputs.device)
    if len(ways) == 1 and not may_compile:
        return ways[0]
    times = _measure(stack, target, batch, ways)
    if times and may_compile and steps * min(times.values()) > LONG:
        times |= _measure(stack, target, batch, [Way(each, "compile") for each in togethers])
    if not times:  # not even the plain way goes; training will say why
        return ways[0]
    plain, best = next(iter(times)), min(times, key=lambda way: times[way])
    return best if times[best] < WORTH * times[plain] else plain


def _measure(stack: SeedStack, target: Target, batch: Batch, ways: list[Way]) -> dict[Way, float]:
    """Return the seconds of one step's passes in each way that can be gone, the median of up to three."""
    times = {}
    for way in ways:
        stack.run_with(*way)
        # vmap and the compiler each know many things that they cannot do, by many kinds of exception.
        with torch.random.fork_rng(), suppress(Exception):
            _pass(stack, target, batch)
            seconds: list[float] = []
            while len(seconds) < 3 and sum(seconds) < 2:
                seconds.append(_pass(stack, target, batch))
            times[way] = statistics.median(seconds)
        stack.zero_grad()
    return times


def _pass(stack: SeedStack, target: Target, batch: Batch) -> float:
    start = time.perf_counter()
    losses = stack.backward(target, batch)
    if losses.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def can_compile(device: torch.device) -> bool:
    """Whether torch's compiler finds what it needs: on a CPU a C++ compiler."""
    if device.type == "cpu":
        return shutil.which("g++") is not None or shutil.which("clang++") is not None
    return device.type == "cuda"
