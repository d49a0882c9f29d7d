"""Solve equation: find the number that makes an equation with brackets true modulo 5."""

from __future__ import annotations

import math
from random import Random

from seqbench.tasks.languages.modular_arithmetic import DIGITS, MODULUS, ModularArithmetic, expression
from seqbench.tasks.specs import Tokens


class SolveEquation(ModularArithmetic):
    """Find the number x that makes an equation true modulo 5.

        input  ( ( - x ) + ( 1 ) ) = 3      target 3 (−3 + 1 is 3 modulo 5), after the last step

    An expression of `modular_arithmetic`, without products, so that there is one solution; one of its numbers
    is x: that of a random symbol, or the next one after it. A deterministic context-free task of Delétang et
    al. (2023), whose strings of one and two symbols, which hold no equation, are left out here. Theirs (mean
    accuracy at lengths of 41 to 500, best of ten seeds, from memory): RNN 51.0, stack RNN 56.2, tape RNN
    64.4, transformer 25.7, LSTM 67.8.

    Args:
        length: the most symbols of a training equation; they have 3 to T, equally likely.
        eval_lengths: lengths to test at; all sequences of a test have its length.
        eval_size: sequences to evaluate on.
    """

    least = 3
    tokens = DIGITS + "+-()x="
    inputs = Tokens(len(tokens))

    def example(self, random: Random, length: int) -> tuple[str, int]:
        text, value = expression(random, length - 2, "+-")
        place = random.randrange(len(text))
        while text[place] not in DIGITS:
            place = (place + 1) % len(text)
        return f"{text[:place]}x{text[place + 1 :]}={value}", int(text[place])

    def baseline_loss(self, length: int) -> float:
        """Return log 5: all numbers are equally likely."""
        return math.log(MODULUS)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 1 / MODULUS}
