"""Clocks and rounds."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch.utils._pytree import tree_leaves

Key = TypeVar("Key")
#: The share of the core that an undisturbed sample has, and how often a disturbed one is taken again.
UNDISTURBED, ATTEMPTS = 0.98, 4


@dataclass(frozen=True)
class Point:
    """The sizes of a step: sequences in a batch, steps of a sequence, units."""

    batch: int = 32
    length: int = 100
    width: int = 64


@dataclass(frozen=True)
class Settings:
    """What is asked of every part.

    Attributes:
        device: where torch computes, cpu or cuda.
        rounds: in how many rounds everything is measured.
        quick: take tiny sizes, to see that every part runs; the numbers then mean nothing.
        against: the commit that `quickstart` compares with.
    """

    device: str = "cpu"
    rounds: int = 5
    quick: bool = False
    against: str | None = None

    @property
    def point(self) -> Point:
        """Where cells are compared."""
        return Point(4, 12, 8) if self.quick else Point()

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells that are compared with JAX, by the names of their presets."""
        return ("leaky_rnn", "lstm") if self.quick else ("leaky_rnn", "rnn", "gru", "lstm")

    @property
    def sample(self) -> float:
        """Seconds that one sample takes at least."""
        return 0.0 if self.quick else 0.1

    @property
    def seeds(self) -> int:
        """How many seeds are many."""
        return 2 if self.quick else 16


def in_turn(measures: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, float]:
    """Return the median of what each function returns, all called in turn in every round."""
    found: dict[Key, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return {name: statistics.median(values) for name, values in found.items()}


def sampled(step: Callable[[], object], settings: Settings) -> Callable[[], float]:
    """Return a function that measures the milliseconds of a step, the mean over as many as make a sample.

    The step runs twice before: to warm up, and to see how long it takes. If other processes had the core
    meanwhile, a sample is taken again, a few times; then the one counts in which they had it least.
    """
    step()
    repeats = max(1, math.ceil(settings.sample / seconds(step, settings.device)))

    def measure() -> float:
        samples: list[tuple[float, float]] = []
        while len(samples) < ATTEMPTS and max(samples, default=(0.0, 0.0))[0] < UNDISTURBED:
            start = time.process_time()
            taken = seconds(step, settings.device, repeats)
            samples.append(((time.process_time() - start) / (taken * repeats), taken))
        return max(samples)[1] * 1e3

    return measure


def steps_in_turn(steps: Mapping[Key, Callable[[], object]], settings: Settings) -> dict[Key, float]:
    """Return the milliseconds of each step, the median of samples taken in turn."""
    return in_turn({name: sampled(step, settings) for name, step in steps.items()}, settings.rounds)


def seconds(step: Callable[[], object], device: str, repeats: int = 1) -> float:
    """Return the seconds of one step, the mean over `repeats`."""
    start = time.perf_counter()
    for _ in range(repeats):
        end = step()
    for part in tree_leaves(end):
        if hasattr(part, "block_until_ready"):  # JAX returns before it has computed
            part.block_until_ready()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / repeats


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of the least-squares line through the logarithms."""
    return statistics.linear_regression([math.log(n) for n in sizes], [math.log(v) for v in values]).slope
