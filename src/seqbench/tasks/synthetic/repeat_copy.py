"""Repeat copy: repeat a sequence of random vectors a given number of times, then mark the end."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.mixed import MixedSizesTask, uniform
from seqbench.tasks.synthetic.base import BitVectorTask, answer_mask

#: More repetitions than any sequence has room for.
MOST_REPEATS = 10_000


class RepeatCopy(BitVectorTask, MixedSizesTask):
    """Repeat a sequence of random vectors as many times as a number says, then output a mark.

                   two vectors of two bits, three times; targets count after the number only
        bit 1      1 0  .   . . . . . . .
        bit 2      1 1  .   . . . . . . .
        mark       . .  1   . . . . . . .
        repeats    . . 1.22 . . . . . . .      of 1 to 3: (3 − 2) / √⅔
        target 1   . .  .   1 0 1 0 1 0 .
        target 2   . .  .   1 1 1 1 1 1 .
        end        . .  .   . . . . . . 1

    The copies must be counted without any input. The number has mean 0 and variance 1 over training, and is
    accompanied by a mark because it may be 0. Section 4.2 of Graves, Wayne & Danihelka (2014), with 8 bits,
    1 to 10 vectors and 1 to 10 repetitions.

    Args:
        length: the most vectors of a training sequence; a batch has 1 to `length`, equally likely. A sequence
            of n vectors, repeated r times, has n (r + 1) + 2 steps.
        repeats: the most repetitions of a training sequence; a batch has 1 to `repeats`, equally likely.
            Validation is at `length` and `repeats`.
        eval_lengths: vectors of the sequences to test at.
        eval_repeats: repetitions of the sequences to test at, at every length; None means `repeats`.
        eval_size: sequences to evaluate on.
        bits: bits of a vector.
    """

    solved_when = (
        "under 0.1 bit errors per sequence of the greatest training length and repetitions (the mark of "
        "Collier & Beel, 2018, for a single copy; none is published)"
    )
    solved_below = 0.1

    def __init__(
        self,
        length: int = 10,
        repeats: int = 10,
        eval_lengths: Sequence[int] | None = None,
        eval_repeats: int | None = None,
        eval_size: int = 1000,
        bits: int = 8,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, bits, marks=2, ends=1)
        for name, value in [("repeats", repeats), ("eval_repeats", eval_repeats)]:
            if value is not None and value < 1:
                raise ConfigError(f"task.{name}={value} leaves nothing to repeat; give at least 1.")
            if value is not None and value > MOST_REPEATS:
                raise ConfigError(
                    f"task.{name}={value} makes endless sequences; give at most {MOST_REPEATS}."
                )
        self.variant = f"{bits} bits, {repeats} times"
        self.repeats = repeats
        self.eval_repeats = repeats if eval_repeats is None else eval_repeats

    @property
    def steps(self) -> int:
        return self.length * (self.repeats + 1) + 2

    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        return uniform(generator, 1, self.length), uniform(generator, 1, self.repeats)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        return self.draw(generator, batch_size, length, self.eval_repeats)

    def sample_training(self, generator: torch.Generator, batch_size: int) -> Batch:
        return self.draw(generator, batch_size, self.length, self.repeats)

    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        length, repeats = size
        steps = length * (repeats + 1) + 2
        vectors = self.vectors(generator, batch_size, length)
        inputs, targets = self.blank(batch_size, steps)
        inputs[:, :length, : self.bits] = vectors
        inputs[:, length, self.bits] = 1
        inputs[:, length, self.bits + 1] = self._normalised(repeats)
        targets[:, length + 1 : -1, : self.bits] = vectors.repeat(1, repeats, 1)
        targets[:, -1, self.bits] = 1
        return Batch(inputs, targets, mask=answer_mask(batch_size, steps, start=length + 1))

    def _normalised(self, repeats: int) -> float:
        """Return the number of repetitions, with mean 0 and variance 1 over 1 to `self.repeats`."""
        deviation = math.sqrt((self.repeats**2 - 1) / 12)
        return (repeats - (self.repeats + 1) / 2) / (deviation or 1)

    def baseline_loss(self, length: int) -> float:
        """Return n r k log 2 / ((n r + 1)(k + 1)) for k bits: everything but the vectors is certain."""
        copied = length * self.eval_repeats
        return copied * self.bits * math.log(2) / ((copied + 1) * (self.bits + 1))

    def chance(self, length: int) -> dict[str, float]:
        return {"bit_errors": length * self.eval_repeats * self.bits / 2}
