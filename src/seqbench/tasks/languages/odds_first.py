"""Odds first: read a string, then output every second symbol, and then the others."""

from __future__ import annotations

import torch
from torch import Tensor

from seqbench.tasks.languages.strings import BitStringTask, Length, Strings, fair


class OddsFirst(BitStringTask):
    """Output the bits of a string at the places 1, 3, 5, …, and then those at 0, 2, 4, ….

        input    1 1 0 1 0 _ _ _ _ _        _ blank
        target             1 1 1 0 0        targets count at the blanks only

    Places count from 0, as in the code of Delétang et al. (2023), of whose context-sensitive tasks this is
    one. Theirs (mean accuracy at lengths of 41 to 500, best of ten seeds, from memory): RNN 51.0, stack RNN
    51.9, tape RNN 100, transformer 52.8, LSTM 55.6.

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
        odds, i = lengths[:, None] // 2, torch.arange(longest)
        place = torch.where(i < odds, 2 * i + 1, 2 * (i - odds))
        return Strings(bits, bits.gather(1, place.clamp(0, longest - 1)), lengths)

    def shares(self, length: int) -> Tensor:
        return fair(length, 2)
