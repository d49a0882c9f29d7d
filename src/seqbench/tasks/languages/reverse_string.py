"""Reverse string: read a string, then output it backwards."""

from __future__ import annotations

import torch
from torch import Tensor

from seqbench.tasks.languages.strings import BitStringTask, Length, Strings, fair


class ReverseString(BitStringTask):
    """Output a string of bits backwards, at as many blanks as it has bits.

        input    1 1 0 _ _ _        _ blank
        target         0 1 1        targets count at the blanks only

    The last bit in is the first out: a stack solves it, a finite-state machine does not. A deterministic
    context-free task of Delétang et al. (2023), whose strings are of bits as well. Theirs (mean accuracy at
    lengths of 41 to 500, best of ten seeds, from memory): RNN 62.0, stack RNN 100, tape RNN 100, transformer
    62.3, LSTM 60.9.

    Args:
        length: the most bits of a training string; they have 1 to T, equally likely. A sequence of n bits has
            2n steps.
        eval_lengths: lengths of strings to test at; all strings of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = "bits"

    def answer_steps(self, length: Length) -> Length:
        return length

    def write(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Strings:
        bits = torch.randint(2, (len(lengths), longest), generator=generator)
        backwards = (lengths[:, None] - 1 - torch.arange(longest)).clamp_min(0)
        return Strings(bits, bits.gather(1, backwards), lengths)

    def shares(self, length: int) -> Tensor:
        return fair(length, 2)
