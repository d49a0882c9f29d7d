"""A task of one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask


class FirstSymbol(SyntheticTask):
    """Name the first of `length` symbols after the last.

        input  3 1 0 2 2      class 3

    Args:
        length: symbols of a training sequence.
        alphabet: symbols there are.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
    """

    solved_when = "99 % right"

    def __init__(
        self,
        length: int = 10,
        alphabet: int = 4,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=1)
        self.variant = f"{alphabet} symbols"
        self.inputs = Tokens(alphabet)
        self.targets = Classes(alphabet, per_step=False)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        symbols = torch.randint(self.inputs.size, (batch_size, length), generator=generator)
        return Batch(symbols, symbols[:, 0])

    def baseline_loss(self, length: int) -> float:
        """Return log K."""
        return math.log(self.inputs.size)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99
