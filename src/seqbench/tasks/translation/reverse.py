"""Reverse: output a sequence of random tokens backwards."""

from __future__ import annotations

import math

from jaxtyping import Int
from torch import Tensor

from seqbench.tasks.translation.base import Reordering


class Reverse(Reordering):
    """Output a sequence of random tokens backwards, and then the end token.

        input    3 0 7 7 1
        target   1 7 7 0 3 8       of 8 symbols, 0 to 7; 8 is the end

    A task of Grefenstette et al. (2015), who also count the sequences that are right from start to end; their
    sequences have 8 to 64 tokens. `reverse_string` is the corresponding task for models of one sequence.

    Args:
        length: the most tokens of a training sequence; a batch has 1 to `length`, equally likely.
        eval_lengths: tokens of the sequences to test at.
        eval_size: sequences to evaluate on.
        alphabet: the number of symbols, which are 0, 1, …; in the target the next number is the end.
    """

    def answer(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        return tokens.flip(1)

    def baseline_loss(self, length: int) -> float:
        """Return n log k / (n + 1) for n tokens of k symbols: only the end is certain."""
        return length * math.log(self.alphabet) / (length + 1)

    def chance(self, length: int) -> dict[str, float]:
        accuracy = (length / self.alphabet + 1) / (length + 1)
        return {"accuracy": accuracy, "exact": self.alphabet**-length}
