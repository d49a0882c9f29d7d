"""Time warps: recall the previous character, where characters last for many steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask


class TimeWarp(SyntheticTask):
    """Recall the previous character of a text whose characters last for many steps.

        text 4 1 7 …, warp 3

        uniform    input    4 4 4 1 1 1 7 7 7 …
                   target   _ _ _ 4 4 4 1 1 1 …       _ blank: no character came before
        variable   input    4 4 1 1 1 7 7 7 9 …
                   target   _ _ 4 4 4 1 1 1 7 …

    The pure warpings of Tallec & Ollivier (2018). Neighbouring characters of the text differ: every change is
    visible, and the input determines the target. A leaky network can follow a uniform warp; a variable one
    needs gates.

    Variants:
        uniform: every character lasts `warp` steps.
        variable: each character lasts 1 to `warp` steps, drawn for each.

    Args:
        length: steps T at which the warped text is cut off.
        variant: see above.
        warp: the most steps that a character lasts.
        alphabet: the number of different characters.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
    """

    span_key = "warp"
    solved_when = (
        "99 % of the targets right (the mark of Pascanu et al., 2013, for related tasks; none is published)"
    )

    def __init__(
        self,
        length: int = 500,
        variant: Literal["uniform", "variable"] = "variable",
        warp: int = 10,
        alphabet: int = 10,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if variant not in ("uniform", "variable"):
            raise ConfigError(f"task.variant={variant} is unknown; there are uniform and variable.")
        if warp < 1:
            raise ConfigError(f"task.warp={warp} leaves no step for a character; give at least 1.")
        if alphabet < 3:
            raise ConfigError(f"task.alphabet={alphabet} leaves no choice of the next one; give at least 3.")
        # A shorter sequence may hold a single character, which has no previous one.
        super().__init__(length, eval_lengths, eval_size, min_length=2)
        key, shortest = min(self._lengths(), key=lambda pair: pair[1])
        if warp >= shortest:
            raise ConfigError(f"task.warp={warp} must be below every length, and task.{key}={shortest}.")
        self.variant = variant
        self.warp = warp
        self.alphabet = alphabet
        self.inputs = Tokens(alphabet)
        self.targets = Classes(alphabet + 1, per_step=True)

    @property
    def span(self) -> Span:
        """The warp: the character before has ended 1 to `warp` steps ago."""
        return Span(self.span_key, 1, lambda warp: (1, warp))

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        shape = batch_size, length
        shortest = 1 if self.variant == "variable" else self.warp
        ends = torch.randint(shortest, self.warp + 1, shape, generator=generator).cumsum(1)
        # The next character starts where one ends. Later ends fall on an extra step, which is cut off.
        starts = torch.zeros(batch_size, length + 1, dtype=torch.int64).scatter_(1, ends.clamp_max(length), 1)
        place = starts[:, :-1].cumsum(1)
        changes = torch.randint(1, self.alphabet, shape, generator=generator)
        changes[:, 0] = torch.randint(self.alphabet, (batch_size,), generator=generator)
        text = changes.cumsum(1) % self.alphabet
        before = text.gather(1, (place - 1).clamp_min(0))
        return Batch(text.gather(1, place), torch.where(place > 0, before, self.alphabet))

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        inputs, targets = super().token_names()
        return inputs, [*targets[:-1], "_"]

    def baseline_loss(self, length: int) -> float:
        """Return the mean of H(p) + (1 − p) log K over the steps, p the probability of a blank."""
        total = 0.0
        for p in self._blanks(length):
            total -= sum(q * math.log(q) for q in (p, 1 - p) if q > 0)
            total += (1 - p) * math.log(self.alphabet)
        return total / length

    def chance(self, length: int) -> dict[str, float]:
        """Return the mean over the steps of the greater of p, the probability of a blank, and (1 − p) / K."""
        return {"accuracy": sum(max(p, (1 - p) / self.alphabet) for p in self._blanks(length)) / length}

    def _blanks(self, length: int) -> list[float]:
        """Return for each step the probability that the first character still lasts."""
        if self.variant == "uniform":
            return [float(t < self.warp) for t in range(length)]
        return [max(1 - t / self.warp, 0.0) for t in range(length)]

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99
