"""What the tasks over vectors of random bits share (Graves, Wayne & Danihelka, 2014)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.specs import Bits, Vectors
from seqbench.tasks.streams.fresh import SyntheticTask


class BitVectorTask(SyntheticTask):
    """A task that shows vectors of random bits, and then asks for some of them.

    The input is blank during the answer: all that is answered must have been stored. Targets count during
    the answer only. Subclasses set `solved_below`, the bit errors per sequence.

    Args:
        length: vectors, or items, of a training sequence.
        eval_lengths: vectors, or items, of the sequences to test at.
        eval_size: sequences to evaluate on.
        bits: bits of a vector.
        marks: input channels beside the bits.
        ends: target channels beside the bits.
        min_length: the least `length`.
    """

    metric = "bit_errors"
    #: What is done to the bits, in the message for none.
    verb: ClassVar[str] = "copy"
    #: A run is solved below this number of bit errors per sequence.
    solved_below: float

    def __init__(
        self,
        length: int,
        eval_lengths: Sequence[int] | None,
        eval_size: int,
        bits: int,
        *,
        marks: int,
        ends: int = 0,
        min_length: int = 1,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, min_length=min_length)
        if bits < 1:
            raise ConfigError(f"task.bits={bits} leaves nothing to {self.verb}; give at least 1.")
        self.bits = bits
        self.inputs = Vectors(bits + marks)
        self.targets = Bits(bits + ends, per_step=True)

    def vectors(
        self, generator: torch.Generator, batch_size: int, length: int
    ) -> Float[Tensor, "B length bits"]:
        """Draw vectors of fair bits."""
        return torch.randint(2, (batch_size, length, self.bits), generator=generator).float()

    def blank(self, batch_size: int, steps: int) -> tuple[Float[Tensor, "B T I"], Float[Tensor, "B T O"]]:
        """Return inputs and targets that are all zero."""
        return (
            torch.zeros(batch_size, steps, self.inputs.size),
            torch.zeros(batch_size, steps, self.targets.size),
        )

    def baseline_loss(self, length: int) -> float:
        """Return log 2: each bit of the answer is 1 with chance ½."""
        return math.log(2)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["bit_errors"] < self.solved_below


def answer_mask(batch_size: int, steps: int, start: int) -> Bool[Tensor, "B T"]:
    """Return the mask of an answer that begins at step `start` and ends with the sequence."""
    return (torch.arange(steps) >= start).expand(batch_size, steps)
