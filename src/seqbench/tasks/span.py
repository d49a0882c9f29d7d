"""The span of a task: over how many steps something of a fixed size has to be kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Which key of a task sets its span, and what a value of it means.

    A key that sets how *much* has to be kept, as that of tasks on strings to be repeated does, is no span:
    at a longer one a model may fail for lack of room.

    Attributes:
        key: of the task's configuration, `length`.
        least: the least value that the task takes.
        dependency: from a value to the nearest and the farthest distance, in steps, from an input that has to
            be kept to the output that needs it; of several inputs, the first that decides the target.
        unit: values are multiples of it.
    """

    key: str
    least: int
    dependency: Callable[[int], tuple[int, int]]
    unit: int = 1
