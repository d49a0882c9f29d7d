"""Temporal order: remember which symbols came at distant times, among distractors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask
from seqbench.tasks.streams.mixed import mixed_batches, uniform

#: The positions of the symbols as shares of the length: {number of symbols: [(from, to), …]}.
SCALED = {2: [(0.1, 0.2), (0.5, 0.6)], 3: [(0.1, 0.2), (0.3, 0.4), (0.6, 0.7)]}
ORIGINAL = {2: [(0.1, 0.2), (0.5, 0.6)], 3: [(0.1, 0.2), (0.33, 0.43), (0.66, 0.76)]}

#: The least length: one with a tenth.
LEAST = 10

X, Y, DISTRACTORS, START, END = 0, 1, 2, 6, 7


class TemporalOrder(SyntheticTask):
    """Classify the order in which the symbols X and Y came: one class for each order.

        input   c X a d b a Y c b d a c      class XY, one of XX, YX, XY, YY, after the last step
                    └──────────┘ among the distractors a, b, c, d

    Variants:
        scaled: each symbol lies in a tenth of the sequence, which begins at 10 % and 50 % of it (with three
            symbols at 10, 30 and 60 %), as in Pascanu, Mikolov & Bengio (2013) and their code.
        1997: `length` to 1.1 `length` steps, drawn for each sequence; it starts with E and ends with B;
            the symbols lie in tenths of `length` that begin at 10 and 50 % (10, 33 and 66 %), ends included
            (Hochreiter & Schmidhuber, 1997, experiments 6a and 6b).

    Args:
        length: steps T.
        symbols: the number of symbols to order, 2 or 3.
        variant: see above.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
        shortest: if given, each training batch has a length of its own, from this to `length`, as in the
            code of Pascanu et al.; validation is at `length`. None trains at `length` alone.
    """

    solved_when = "under 1 % of the sequences wrong (Pascanu, Mikolov & Bengio, 2013)"

    def __init__(
        self,
        length: int = 100,
        symbols: Literal[2, 3] = 2,
        variant: Literal["scaled", "1997"] = "scaled",
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        shortest: int | None = None,
    ) -> None:
        if symbols not in (2, 3):
            raise ConfigError(f"task.symbols={symbols} is not published; there are 2 and 3.")
        if variant not in ("scaled", "1997"):
            raise ConfigError(f"task.variant={variant} is unknown; there are scaled and 1997.")
        super().__init__(length, eval_lengths, eval_size, min_length=LEAST)
        if shortest is not None and not LEAST <= shortest <= length:
            raise ConfigError(
                f"task.shortest={shortest} must be at least {LEAST} and at most task.length={length}."
            )
        self.shortest = shortest
        self.variant = variant
        self.symbols = symbols
        self.inputs = Tokens(6 if variant == "scaled" else 8)
        self.targets = Classes(2**symbols, per_step=False)

    @property
    def steps(self) -> int:
        return self.length + self.length // 10 if self.variant == "1997" else self.length

    @property
    def span(self) -> Span:
        """The length: the first symbol lies 80 to 90 % of it before the target."""
        return Span("length", LEAST, self._dependency)

    def _dependency(self, length: int) -> tuple[int, int]:
        first, last = self._places(length)[0]
        longest = length + length // 10 if self.variant == "1997" else length
        return length - 1 - last, longest - 1 - first

    def _places(self, length: int) -> list[tuple[int, int]]:
        """Return the first and the last step at which each symbol may lie."""
        original = self.variant == "1997"
        places = []
        for start, stop in (ORIGINAL if original else SCALED)[self.symbols]:
            first = int(length * start)
            places.append((first, int(length * stop) if original else first + length // 10 - 1))
        return places

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        if self.shortest is None:
            return super().train_batches(seed, batch_size, start)
        shortest = self.shortest
        return mixed_batches(
            lambda its: (uniform(its, shortest, self.length),), self.sample, seed, batch_size, start
        )

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        original = self.variant == "1997"
        steps = length + length // 10 if original else length
        inputs = torch.randint(DISTRACTORS, START, (batch_size, steps), generator=generator)
        symbols = torch.randint(2, (batch_size, self.symbols), generator=generator)
        positions = [
            torch.randint(first, last + 1, (batch_size,), generator=generator)
            for first, last in self._places(length)
        ]
        inputs.scatter_(1, torch.stack(positions, dim=1), symbols)
        classes = (symbols << torch.arange(self.symbols)).sum(1)
        if not original:
            return Batch(inputs, classes)
        lengths = torch.randint(length, steps + 1, (batch_size,), generator=generator)
        inputs[:, 0] = START
        inputs[torch.arange(batch_size), lengths - 1] = END
        return Batch(inputs, classes, lengths=lengths)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        orders = [
            "".join("XY"[order >> i & 1] for i in range(self.symbols)) for order in range(2**self.symbols)
        ]
        return "XYabcdEB"[: self.inputs.size], orders

    def baseline_loss(self, length: int) -> float:
        """Return log of the number of orders, which are equally likely."""
        return self.symbols * math.log(2)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5**self.symbols}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] > 0.99
