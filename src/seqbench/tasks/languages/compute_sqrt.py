"""Square root: read a number, then output the integer part of its square root."""

from __future__ import annotations

from math import isqrt
from random import Random

import torch
from torch import Tensor

from seqbench.tasks.languages.binary_addition import bits
from seqbench.tasks.languages.strings import BitStringTask, Length, Strings


class ComputeSqrt(BitStringTask):
    """Output the integer part of the square root of a binary number, the greatest bits first.

        input    1 0 0 1 0 1 _ _ _        √37 = 6.08…, _ blank
        target               1 1 0        6; targets count at the blanks only

    A number of n bits is drawn from 1 to 2ⁿ − 1, with zeros before it, and its root has ⌈n/2⌉ bits. A
    context-sensitive task of Delétang et al. (2023). Theirs (mean accuracy at lengths of 41 to 500, best of
    ten seeds, from memory): RNN 54.3, stack RNN 56.5, tape RNN 57.8, transformer 52.4, LSTM 57.5.

    Args:
        length: the most bits of a training number; they have 1 to T, equally likely. A sequence of n bits has
            n + ⌈n/2⌉ steps.
        eval_lengths: lengths of numbers to test at; all numbers of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = "big-endian"

    def answer_steps(self, length: Length) -> Length:
        return (length + 1) // 2

    def write(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Strings:
        random = Random(int(torch.randint(2**62, (), generator=generator)))
        text = torch.zeros(len(lengths), longest, dtype=torch.int64)
        answer = torch.zeros(len(lengths), self.answer_steps(longest), dtype=torch.int64)
        counts = self.answer_steps(lengths)
        for row, (n, count) in enumerate(zip(lengths.tolist(), counts.tolist(), strict=True)):
            number = random.randint(1, 2**n - 1)
            text[row, :n] = torch.tensor(bits(number, n)[::-1])
            answer[row, :count] = torch.tensor(bits(isqrt(number), count)[::-1])
        return Strings(text, answer, counts)

    def shares(self, length: int) -> Tensor:
        """Return the shares by counting the numbers whose root has a bit: (2i + 1)² 4ʲ to (2i + 2)² 4ʲ."""
        end = 2**length
        ones = []
        for j in reversed(range(self.answer_steps(length))):
            whole = (isqrt(end) >> j) // 2  # ranges that end by 2ⁿ; one more may be cut off there
            count = 4**j * (2 * whole**2 + whole) + max(0, end - ((2 * whole + 1) << j) ** 2)
            ones.append(count / (end - 1))
        share = torch.tensor(ones, dtype=torch.float64)
        return torch.stack([1 - share, share], dim=1)
