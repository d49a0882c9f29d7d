"""Duplicate string: read a string, then output it twice."""

from __future__ import annotations

import torch
from torch import Tensor

from seqbench.tasks.languages.strings import BitStringTask, Length, Strings, fair


class DuplicateString(BitStringTask):
    """Output a string of bits twice, at twice as many blanks as it has bits.

        input    1 0 1 _ _ _ _ _ _        _ blank
        target         1 0 1 1 0 1        targets count at the blanks only

    The first bit in is the first out: a queue. A context-sensitive task of Delétang et al. (2023), whose
    strings are of bits as well. Theirs (mean accuracy at lengths of 41 to 500, best of ten seeds, from
    memory): RNN 50.3, stack RNN 52.8, tape RNN 100, transformer 52.8, LSTM 57.6.

    Args:
        length: the most bits of a training string; they have 1 to T, equally likely. A sequence of n bits has
            3n steps.
        eval_lengths: lengths of strings to test at; all strings of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = "bits"

    def answer_steps(self, length: Length) -> Length:
        return 2 * length

    def write(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Strings:
        bits = torch.randint(2, (len(lengths), longest), generator=generator)
        twice = torch.arange(2 * longest) % lengths[:, None]
        return Strings(bits, bits.gather(1, twice), 2 * lengths)

    def shares(self, length: int) -> Tensor:
        return fair(2 * length, 2)
