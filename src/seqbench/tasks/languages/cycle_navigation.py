"""Cycle navigation: find where a walk on a cycle ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask


class CycleNavigation(ExtrapolationTask):
    """Find, after moves on a cycle of `positions` places, the last place; all walks begin at place 0.

        move      −1  0  −1  +1  −1      place 3 (−2 on a cycle of 5) after the last step
        token      0  1   0   2   0

    A regular language of Delétang et al. (2023), whose cycle has 5 places. Theirs (mean accuracy at lengths
    of 41 to 500, best of ten seeds, from memory): RNN, stack RNN, tape RNN and LSTM 100, transformer 61.9.

    Args:
        length: the most moves of a training sequence; they have 1 to T, equally likely.
        positions: places of the cycle.
        eval_lengths: lengths to test at; all sequences of a test have its length.
        eval_size: sequences to evaluate on.
    """

    inputs = Tokens(3)

    def __init__(
        self,
        length: int = 40,
        positions: int = 5,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if positions < 2:
            raise ConfigError(f"task.positions={positions} leaves nowhere to go; give at least 2.")
        super().__init__(length, eval_lengths, eval_size)
        self.variant = f"cycle of {positions}"
        self.positions = positions
        self.targets = Classes(positions, per_step=False)

    @property
    def span(self) -> Span:
        """The length: the first move counts to the end of up to so many steps."""
        return Span("length", 2, lambda length: (0, length - 1))

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return ("−1", "0", "+1"), super().token_names()[1]

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        moves = torch.randint(3, (len(lengths), longest), generator=generator)
        valid = torch.arange(longest) < lengths[:, None]
        place = ((moves - 1) * valid).sum(1) % self.positions
        return Batch(moves * valid, place, lengths=lengths)

    def baseline_loss(self, length: int) -> float:
        """Return the entropy of the place after `length` moves: with 5 places it approaches log 5."""
        return math.fsum(-p * math.log(p) for p in self._places(length) if p > 0)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": max(self._places(length))}

    def _places(self, length: int) -> list[float]:
        """Return how likely each place is after `length` moves."""
        chances = torch.zeros(self.positions, dtype=torch.float64)
        chances[0] = 1.0
        for _ in range(length):
            chances = (chances.roll(-1) + chances + chances.roll(1)) / 3
        return list(chances.tolist())
