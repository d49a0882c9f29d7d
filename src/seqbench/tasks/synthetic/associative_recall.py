"""Associative recall: output the item that followed the queried one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.mixed import MixedSizesTask, uniform
from seqbench.tasks.synthetic.base import BitVectorTask, answer_mask

#: The most bits of an item, which is drawn as one integer.
MOST_BITS = 62


class AssociativeRecall(BitVectorTask, MixedSizesTask):
    """Read several items; then one of them is shown again, and the item that followed it is due.

                    three items of two vectors of two bits; the first is the query
        bit 1       . 1 0 . 0 0 . 1 1 . 1 0 . . .
        bit 2       . 1 1 . 0 1 . 0 1 . 1 1 . . .
        item mark   1 . . 1 . . 1 . . . . . . . .
        query mark  . . . . . . . . . 1 . . 1 . .
        target 1    . . . . . . . . . . . . . 0 0
        target 2    . . . . . . . . . . . . . 0 1

    A mark precedes each item, two others enclose the query, and targets count after the last mark only. The
    query is any item except the last. The items of a sequence are all different, so that the answer is
    unique. Section 4.3 of Graves, Wayne & Danihelka (2014), with 2 to 6 items of 3 vectors of 6 bits.

    Args:
        length: the most items of a training sequence; a batch has 2 to `length`, equally likely. A sequence
            of n items of L vectors has n (L + 1) + 2 L + 2 steps.
        eval_lengths: items of the sequences to test at.
        eval_size: sequences to evaluate on.
        item_length: vectors of an item.
        bits: bits of a vector.
    """

    solved_when = (
        "under 0.1 bit errors per sequence of the greatest training length (convergence in the code of "
        "Collier & Beel, 2018)"
    )
    solved_below = 0.1
    revisions: ClassVar[dict[str, int]] = {"_target_": 2}
    verb = "recall"

    def __init__(
        self,
        length: int = 6,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        item_length: int = 3,
        bits: int = 6,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, bits, marks=2, min_length=2)
        if item_length < 1:
            raise ConfigError(f"task.item_length={item_length} leaves nothing to recall; give at least 1.")
        most = max(length, *self.eval_lengths)
        least = math.ceil(math.log2(most))
        if not least <= item_length * bits <= MOST_BITS:
            raise ConfigError(
                f"task.item_length={item_length} and task.bits={bits} make items of {item_length * bits} "
                f"bits; give {least}, so that {most} items can differ (task.length, task.eval_lengths), to "
                f"{MOST_BITS}."
            )
        self.variant = f"items of {item_length} × {bits} bits"
        self.item_length = item_length

    @property
    def steps(self) -> int:
        return self._query(self.length) + 2 * self.item_length + 2

    def _query(self, length: int) -> int:
        """Return the step of the first query mark, which follows the last item."""
        return length * (self.item_length + 1)

    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        return (uniform(generator, 2, self.length),)

    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        (length,) = size
        numbers = distinct(generator, batch_size, length, 2 ** (self.item_length * self.bits))
        items = (numbers[..., None] >> torch.arange(self.item_length * self.bits)) % 2
        items = items.view(batch_size, length, self.item_length, self.bits).float()
        asked = torch.randint(length - 1, (batch_size,), generator=generator)
        rows, item_mark, query_mark = torch.arange(batch_size), self.bits, self.bits + 1
        query, answer = self._query(length), self._query(length) + self.item_length + 2
        steps = answer + self.item_length
        inputs, targets = self.blank(batch_size, steps)
        shown = inputs[:, :query].view(batch_size, length, self.item_length + 1, self.bits + 2)
        shown[:, :, 0, item_mark] = 1
        shown[:, :, 1:, : self.bits] = items
        inputs[:, query, query_mark] = inputs[:, answer - 1, query_mark] = 1
        inputs[:, query + 1 : answer - 1, : self.bits] = items[rows, asked]
        targets[:, answer:] = items[rows, asked + 1]
        return Batch(inputs, targets, mask=answer_mask(batch_size, steps, start=answer))

    def chance(self, length: int) -> dict[str, float]:
        return {"bit_errors": self.item_length * self.bits / 2}


def distinct(generator: torch.Generator, rows: int, count: int, size: int) -> Int[Tensor, "rows count"]:
    """Draw, for each row, `count` different numbers below `size`; all orders are equally likely.

    By Floyd's method (Bentley & Floyd, 1987): the i-th number is drawn from the first size − count + i
    numbers, and replaced by the last of these if it has been drawn before.
    """
    chosen = torch.empty(rows, count, dtype=torch.int64)
    for i, last in enumerate(range(size - count, size)):
        drawn = torch.randint(last + 1, (rows,), generator=generator)
        taken = (chosen[:, :i] == drawn[:, None]).any(1)
        chosen[:, i] = drawn.where(~taken, last)
    return chosen.gather(1, torch.rand(rows, count, generator=generator).argsort(1))
