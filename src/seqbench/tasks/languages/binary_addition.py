"""Binary addition: read two numbers, then output their sum."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

from seqbench.tasks.languages.strings import Length, Strings, StringTask
from seqbench.tasks.specs import Classes, Tokens

#: The token between the numbers, and the class of the end of an answer.
SIGN = END = 2


class BinaryAddition(StringTask):
    """Output the sum of two binary numbers, whose least bits come first.

        input    0 0 1 + 0 1 1 _ _ _ _ _ _ _ _        4 + 6 = 10
        target                 0 1 0 1 | . . .        | ends the sum; . does not count

    One of the n symbols is the sign; the first number has 1 to n − 2 bits, equally likely, and the second the
    others. Both are drawn from 1 on, with zeros up to their length; the sum has no zeros at its end. A
    context-sensitive task of Delétang et al. (2023), whose strings of one and two symbols, which hold no sum,
    are left out here. Theirs (mean accuracy at lengths of 41 to 500, best of ten seeds, from memory): RNN
    50.3, stack RNN 52.7, tape RNN 100, transformer 54.3, LSTM 55.5.

    Args:
        length: the most symbols of a training string; they have 3 to T, equally likely. A sequence of n
            symbols has 2n + 1 steps.
        eval_lengths: lengths of strings to test at; all strings of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = "little-endian"
    least = 3
    sign = "+"
    inputs = Tokens(4)
    targets = Classes(3, per_step=True)

    def answer_steps(self, length: Length) -> Length:
        return length + 1

    def result(self, first: int, second: int) -> int:
        """Return what is to be computed."""
        return first + second

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return f"01{self.sign}_", "01|"

    def write(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Strings:
        random = Random(int(torch.randint(2**62, (), generator=generator)))
        text = torch.zeros(len(lengths), longest, dtype=torch.int64)
        answer = torch.full((len(lengths), self.answer_steps(longest)), END)
        count = torch.zeros_like(lengths)
        for row, n in enumerate(lengths.tolist()):
            size, first, second = operands(random, n)
            result = bits(self.result(first, second))
            text[row, :n] = torch.tensor([*bits(first, size), SIGN, *bits(second, n - 1 - size)])
            answer[row, : len(result)] = torch.tensor(result)
            count[row] = len(result) + 1
        return Strings(text, answer, count)

    def shares(self, length: int) -> Tensor:
        """Return the shares by counting the pairs of numbers: a bit of the longer one is fair."""
        shares = torch.zeros(length + 1, 3, dtype=torch.float64)
        for a in range(1, length - 1):
            b = length - 1 - a
            x, y, top = 2**a - 1, 2**b - 1, max(a, b)
            total = x * y * (length - 2)
            # Pairs whose sum has more than j bits.
            more = [x * y - _pairs(2**j - 1, x, y) for j in range(top + 1)]
            for j in range(top + 1):
                # Half of all pairs have the bit, 0 included; those with a 0 are taken off.
                ones = 2 ** (a + b - 1) - (2 ** (b - 1) if j < b else 0) - (2 ** (a - 1) if j < a else 0)
                ones = ones if j < top else more[j]
                shares[j, 0] += (more[j] - ones) / total
                shares[j, 1] += ones / total
                shares[j + 1, END] += (more[j] - (more[j + 1] if j < top else 0)) / total
        return shares


def operands(random: Random, length: int) -> tuple[int, int, int]:
    """Draw the size of the first number of a string of `length` symbols, and both numbers."""
    size = random.randint(1, length - 2)
    return size, random.randint(1, 2**size - 1), random.randint(1, 2 ** (length - 1 - size) - 1)


def bits(number: int, size: int = 0) -> list[int]:
    """Return the bits of a number, the least first, with zeros up to `size`."""
    return [int(bit) for bit in reversed(f"{number:0{size}b}")]


def _pairs(most: int, x: int, y: int) -> int:
    """Return how many pairs of numbers from 1 to `x` and 1 to `y` have a sum of at most `most`."""

    def unbounded(most: int) -> int:
        return most * (most - 1) // 2 if most > 1 else 0

    return unbounded(most) - unbounded(most - x) - unbounded(most - y) + unbounded(most - x - y)
