"""Binary multiplication: read two numbers, then output their product."""

from __future__ import annotations

import functools
from random import Random

import torch
from torch import Tensor

from seqbench.tasks.languages.binary_addition import END, BinaryAddition, bits, operands
from seqbench.tasks.languages.strings import Length


class BinaryMultiplication(BinaryAddition):
    """Output the product of two binary numbers, whose least bits come first.

        input    0 0 1 × 0 1 1 _ _ _ _ _ _ _        4 · 6 = 24
        target                 0 0 0 1 1 | .        | ends the product; . does not count

    The numbers are those of `binary_addition`. A context-sensitive task of Delétang et al. (2023), whose
    strings of one and two symbols, which hold no product, are left out here. Theirs (mean accuracy at lengths
    of 41 to 500, best of ten seeds, from memory): RNN 50.0, stack RNN 52.7, tape RNN 58.5, transformer 52.2,
    LSTM 53.1.

    Args:
        length: the most symbols of a training string; they have 3 to T, equally likely. A sequence of n
            symbols has 2n steps.
        eval_lengths: lengths of strings to test at; all strings of a test have its length.
        eval_size: sequences to evaluate on.
    """

    sign = "×"

    def answer_steps(self, length: Length) -> Length:
        return length

    def result(self, first: int, second: int) -> int:
        return first * second

    def shares(self, length: int) -> Tensor:
        """Return measured shares, as no closed form is known."""
        return _shares(length)


@functools.cache
def _shares(length: int) -> Tensor:
    """Return the shares of half a million fixed symbols, and of at least 4,000 strings."""
    random, rows = Random(length), max(4000, 500_000 // length)
    counts = [[0, 0, 0] for _ in range(length)]
    for _ in range(rows):
        _, first, second = operands(random, length)
        for place, symbol in enumerate([*bits(first * second), END]):
            counts[place][symbol] += 1
    return torch.tensor(counts, dtype=torch.float64) / rows
