"""Modular arithmetic: compute an expression with brackets modulo 5."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from random import Random

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask

MODULUS = 5
DIGITS = "01234"
OPERATORS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
#: The expressions without an operator between numbers, of 1 to 4 symbols.
SHORT = ("{}", "-{}", "({})", "(-{})")


class ModularArithmetic(ExtrapolationTask):
    """Compute, modulo 5, an expression with brackets and the operators +, − and ·.

        input  ( ( 3 ) * ( - 4 ) )      target 3 (−12 modulo 5), after the last step

    Expressions of up to 4 symbols are d, -d, (d) and (-d), with any number d. Longer ones are two of these,
    and an operator, in brackets; how the symbols are divided, and which operator it is, are equally likely. A
    deterministic context-free task of Delétang et al. (2023). Theirs (mean accuracy at lengths of 41 to 500,
    best of ten seeds, from memory): RNN 41.3, stack RNN 96.1, tape RNN 95.4, transformer 32.5, LSTM 59.2.

    Args:
        length: the most symbols of a training expression; they have 1 to T, equally likely.
        eval_lengths: lengths to test at; all sequences of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = f"modulo {MODULUS}"
    tokens = DIGITS + "+-*()"
    inputs = Tokens(len(tokens))
    targets = Classes(MODULUS, per_step=False)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return self.tokens, DIGITS

    def example(self, random: Random, length: int) -> tuple[str, int]:
        """Draw a sequence of `length` symbols, and its target."""
        return expression(random, length, "+-*")

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        random = Random(int(torch.randint(2**62, (), generator=generator)))
        inputs = torch.zeros(len(lengths), longest, dtype=torch.int64)
        targets = torch.zeros_like(lengths)
        for row, n in enumerate(lengths.tolist()):
            text, targets[row] = self.example(random, n)
            inputs[row, :n] = torch.tensor([self.tokens.index(symbol) for symbol in text])
        return Batch(inputs, targets, lengths=lengths)

    def baseline_loss(self, length: int) -> float:
        """Return the entropy of the value, of which 0 is the likeliest."""
        return math.fsum(-p * math.log(p) for p in _values(length))

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": max(_values(length))}


def expression(random: Random, length: int, operators: str) -> tuple[str, int]:
    """Draw an expression of `length` symbols with these operators, and its value modulo 5."""
    text: list[str] = []
    values: list[int] = []
    todo: list[int | str] = [length]  # what is still to be written, the next last: sizes and symbols
    pending: list[str] = []  # the operators of the brackets that are open
    while todo:
        part = todo.pop()
        if isinstance(part, int) and part <= len(SHORT):
            number = random.randrange(MODULUS)
            text.append(SHORT[part - 1].format(number))
            values.append(number if part % 2 else -number)
        elif isinstance(part, int):
            left = random.randint(1, part - 4)
            pending.append(random.choice(operators))
            text.append("(")
            todo += [")", part - 3 - left, pending[-1], left]
        else:
            text.append(part)
            if part == ")":
                right = values.pop()
                values.append(OPERATORS[pending.pop()](values.pop(), right) % MODULUS)
    return "".join(text), values[0] % MODULUS


def _values(length: int) -> list[float]:
    """Return how likely each value of an expression is, from those of all shorter ones."""
    chances = torch.full((max(length, 4), MODULUS), 1 / MODULUS, dtype=torch.float64)  # of up to 4 symbols
    for n in range(5, length + 1):
        left = chances[: n - 4]  # of 1, …, n − 4 symbols
        pairs = left.T @ left.flip(0) / ((n - 4) * len(OPERATORS))
        chances[n - 1] = 0
        for compute in OPERATORS.values():
            for x in range(MODULUS):
                for y in range(MODULUS):
                    chances[n - 1, compute(x, y) % MODULUS] += pairs[x, y]
    return list(chances[length - 1].tolist())
