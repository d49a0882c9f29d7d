"""Stack manipulation: read a stack and what is done to it, then output what is left."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.tasks.languages.strings import Length, Strings, StringTask
from seqbench.tasks.specs import Classes, Tokens

#: Tokens of the inputs beside the bits: to push a bit b is the token PUSH + b.
POP, PUSH = 2, 3
#: The class of the end of an answer.
END = 2


class StackManipulation(StringTask):
    """Output a stack of bits from its top, after it was pushed to and popped from.

        input    0 1 1 - +0 _ _ _ _ _ _        stack 0 1 1 from its bottom; pop; push 0
        target              0 1 0 | . .        stack 0 1 0 from its top, then its end; . does not count

    The stack has 1 to n − 1 bits, equally likely, and the other symbols of a string of n are operations, of
    three equally likely kinds; to pop an empty stack does nothing. A string of one symbol is the stack alone.
    A deterministic context-free task of Delétang et al. (2023). Theirs (mean accuracy at lengths of 41 to
    500, best of ten seeds, from memory): RNN 56.0, stack RNN 100, tape RNN 100, transformer 57.5, LSTM 59.1.

    Args:
        length: the most symbols of a training string; they have 1 to T, equally likely. A sequence of n
            symbols has 2n + 1 steps.
        eval_lengths: lengths of strings to test at; all strings of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = "bits"
    inputs = Tokens(6)
    targets = Classes(3, per_step=True)

    def answer_steps(self, length: Length) -> Length:
        return length + 1

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return ["0", "1", "-", "+0", "+1", "_"], "01|"

    def write(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Strings:
        shape = (len(lengths), longest)
        most = (lengths - 1).clamp_min(1)
        at_first = 1 + (torch.rand(len(lengths), generator=generator, dtype=torch.float64) * most).long()
        bits = torch.randint(2, shape, generator=generator)
        operations = torch.randint(POP, PUSH + 2, shape, generator=generator)
        text = torch.where(torch.arange(longest) < at_first[:, None], bits, operations)

        rows, depth = torch.arange(len(lengths)), torch.zeros_like(lengths)
        stack = torch.zeros(len(lengths), longest + 1, dtype=torch.int64)
        for t, token in enumerate(text.unbind(1)):
            now = t < lengths
            pushed = now & (token != POP)
            bit = torch.where(token < POP, token, token - PUSH)
            stack[rows, depth] = torch.where(pushed, bit, stack[rows, depth])
            depth = depth + pushed.long() - (now & (token == POP) & (depth > 0)).long()

        i = torch.arange(longest + 1)
        answer = stack.gather(1, (depth[:, None] - 1 - i).clamp_min(0))
        return Strings(text, torch.where(i < depth[:, None], answer, END), depth + 1)

    def shares(self, length: int) -> Tensor:
        """Return the shares that follow from the depth of the stack: all of its bits are fair."""
        depths = torch.zeros(length + 1, dtype=torch.float64)  # how likely each depth is after the operations
        starts = max(length - 1, 1)
        for t in range(1, length + 1):
            after = torch.zeros_like(depths)
            after[1:] += depths[:-1] * 2 / 3
            after[:-1] += depths[1:] / 3
            after[0] += depths[0] / 3
            depths = after
            if t <= starts:
                depths[t] += 1 / starts
        deeper = 1 - depths.cumsum(0)
        return torch.stack([deeper / 2, deeper / 2, depths], dim=1).clamp_min(0)
