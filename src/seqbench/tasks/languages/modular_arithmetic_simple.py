"""Modular arithmetic without brackets: compute a sum of products modulo 5."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.languages.modular_arithmetic import MODULUS
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask

OPERATORS = "+-*"


class ModularArithmeticSimple(ExtrapolationTask):
    """Compute, modulo 5, an expression of numbers and the operators +, − and ·, where products come first.

        input  1 - 2 * 4 + 3      target 1 (−4 modulo 5), after the last step

    The sum so far and the product at hand are all that has to be kept. A regular task of Delétang et al.
    (2023). Lengths are those of numbers here, as theirs of 41 to 500 steps, odd ones only, are 21 to 250
    numbers. Theirs (mean accuracy at these, best of ten seeds, from memory): RNN, stack RNN, tape RNN and
    LSTM 100, transformer 24.2.

    Args:
        length: the most numbers of a training sequence; they have 1 to T, equally likely. A sequence of n
            numbers has 2n − 1 steps.
        eval_lengths: numbers of the sequences to test at; all sequences of a test have as many.
        eval_size: sequences to evaluate on.
    """

    variant = f"modulo {MODULUS}"
    inputs = Tokens(MODULUS + len(OPERATORS))
    targets = Classes(MODULUS, per_step=False)

    def __init__(
        self, length: int = 20, eval_lengths: Sequence[int] | None = None, eval_size: int = 1000
    ) -> None:
        super().__init__(length, eval_lengths, eval_size)

    @property
    def steps(self) -> int:
        return 2 * self.length - 1

    @property
    def span(self) -> Span:
        """The length: the first number counts to the end of up to so many numbers."""
        return Span("length", 2, lambda length: (0, 2 * length - 2))

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        numbers = [*map(str, range(MODULUS))]
        return [*numbers, *OPERATORS], numbers

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        numbers = torch.randint(MODULUS, (len(lengths), longest), generator=generator)
        operators = torch.randint(len(OPERATORS), (len(lengths), longest - 1), generator=generator)
        text = torch.zeros(len(lengths), 2 * longest - 1, dtype=torch.int64)
        text[:, ::2], text[:, 1::2] = numbers, MODULUS + operators
        total, product = torch.zeros_like(lengths), numbers[:, 0]
        for i, operator in enumerate(operators.unbind(1), start=1):
            number, multiplied, now = numbers[:, i], operator == 2, i < lengths
            signed = torch.where(operator == 1, -number, number)
            total = torch.where(now & ~multiplied, total + product, total)
            product = torch.where(now, torch.where(multiplied, product * number % MODULUS, signed), product)
        steps = 2 * lengths - 1
        text *= torch.arange(2 * longest - 1) < steps[:, None]
        return Batch(text, (total + product) % MODULUS, lengths=steps)

    def baseline_loss(self, length: int) -> float:
        """Return the entropy of the value: products with 0 make 0 the likeliest product, if not value."""
        return math.fsum(-p * math.log(p) for p in self._values(length))

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": max(self._values(length))}

    def _values(self, length: int) -> list[float]:
        """Return how likely each value is, from the chances of all sums so far and products at hand."""
        numbers = range(MODULUS)
        chances = torch.zeros(MODULUS, MODULUS, dtype=torch.float64)
        chances[0] = 1 / MODULUS
        for _ in range(length - 1):
            after = torch.zeros_like(chances)
            for total in numbers:
                for product in numbers:
                    share = chances[total, product] / (3 * MODULUS)
                    after[(total + product) % MODULUS] += 2 * share  # + and −, with any number
                    for number in numbers:
                        after[total, product * number % MODULUS] += share
            chances = after
        values = [0.0] * MODULUS
        for total in numbers:
            for product in numbers:
                values[(total + product) % MODULUS] += float(chances[total, product])
        return values
