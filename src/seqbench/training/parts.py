"""The parts of a batch: what each process takes of it, and what a process takes at once.

The loss of a batch is a mean over its targets. Parts differ in how many targets count, so that a mean of
their means would be another number. Each part is divided by the number in the whole batch instead: then the
losses of all parts, and their gradients, add up to those of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from seqbench.tasks.batch import Batch


def _alone(value: Tensor) -> Tensor:
    return value


@dataclass(frozen=True)
class Processes:
    """The processes that share each batch, one for each device.

    Attributes:
        rank: the number of this one, from 0.
        count: how many there are.
        sum: adds a tensor up over all of them, and gives each the sum.
    """

    rank: int = 0
    count: int = 1
    sum: Callable[[Tensor], Tensor] = _alone


class Part(NamedTuple):
    """Rows of a batch.

    batch: the rows, (K, b, …).
    total: how many targets count in the whole batch of each seed.
    """

    batch: Batch
    total: Int[Tensor, " K"]


def parts(batch: Batch, per_step: bool, processes: Processes, accumulate: int) -> list[Part]:
    """Return the parts of a batch (K, B, …) that a process takes, one after another.

    Args:
        batch: the whole batch; every process has it.
        per_step: whether there is a target at every step, and not one per sequence.
        processes: those that share it.
        accumulate: how many parts.
    """
    total = count(batch, per_step)
    mine = share(batch.inputs.shape[1], processes.rank, processes.count)
    found = []
    for i in range(accumulate):
        its = share(mine.stop - mine.start, i, accumulate)
        found.append(Part(_rows(batch, mine.start + its.start, mine.start + its.stop), total))
    return found


def _rows(batch: Batch, start: int, stop: int) -> Batch:
    """Return rows `start` to `stop` of every seed."""
    return batch.map(lambda part: part[:, start:stop])


def share(rows: int, index: int, count: int) -> slice:
    """Return the rows of one of `count` shares, which are of equal size or differ by one row."""
    return slice(rows * index // count, rows * (index + 1) // count)


def count(batch: Batch, per_step: bool) -> Int[Tensor, " K"]:
    """Return how many targets count in the batch of each of K stacked seeds."""
    if per_step and batch.mask is not None:
        return batch.mask.flatten(1).sum(1)
    seeds, *dims = batch.targets.shape[: 3 if per_step else 2]
    return batch.targets.new_full((seeds,), math.prod(dims), dtype=torch.int64)
