"""The parts of a batch: what each process takes of it, and what a process takes at once.

The loss of a batch is a mean over its targets. Parts differ in how many targets count, so that a mean of
their means would be another number. Each part is divided by the number in the whole batch instead: then the
losses of all parts, and their gradients, add up to those of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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

    batch: the rows, (b, …); of stacked models (W, b, …).
    total: how many targets count in the whole batch; of stacked models (W,). It is 1 where there are none, so
        that the loss, a sum over none of them, is 0 and no 0/0.
    """

    batch: Batch
    total: Int[Tensor, " *W"]


def parts(batch: Batch, per_step: bool, processes: Processes, accumulate: int, lead: int = 0) -> list[Part]:
    """Return the parts of a batch that a process takes, one after another.

    Args:
        batch: the whole batch; every process has it.
        per_step: whether there is a target at every step, and not one per sequence.
        processes: those that share it.
        accumulate: how many parts.
        lead: dimensions before the rows: 1 for stacked models.
    """
    total = count(batch, per_step, lead).clamp_min(1)
    if processes.count == accumulate == 1:
        return [Part(batch, total)]
    mine = share(batch.inputs.shape[lead], processes.rank, processes.count)
    found = []
    for i in range(accumulate):
        its = share(mine.stop - mine.start, i, accumulate)
        start, size = mine.start + its.start, its.stop - its.start
        found.append(Part(batch.map(partial(_narrow, lead, start, size)), total))
    return found


def share(rows: int, index: int, count: int) -> slice:
    """Return the rows of one of `count` shares, which are of equal size or differ by one row."""
    return slice(rows * index // count, rows * (index + 1) // count)


def count(batch: Batch, per_step: bool, lead: int = 0) -> Int[Tensor, " *W"]:
    """Return how many targets count in a batch; of stacked models (W,)."""
    if per_step and batch.mask is not None:
        return batch.mask.flatten(lead).sum(lead)
    models, targets = batch.targets.shape[:lead], batch.targets.shape[lead : lead + 1 + per_step]
    return batch.targets.new_full(models, math.prod(targets), dtype=torch.int64)


def _narrow(dim: int, start: int, size: int, part: Tensor) -> Tensor:
    return part.narrow(dim, start, size)
