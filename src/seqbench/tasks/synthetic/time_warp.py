"""Time warps: say which character came before this one, however long each of them lasts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask


class TimeWarp(SyntheticTask):
    """Recall the previous character of a text whose characters last for many steps.

        text 4 1 7 …, warp 3

        uniform    input    4 4 4 1 1 1 7 7 7 …
                   target   _ _ _ 4 4 4 1 1 1 …       _ blank: there is none before
        variable   input    4 4 1 1 1 7 7 7 9 …
                   target   _ _ 4 4 4 1 1 1 7 …

    The pure warpings of Tallec & Ollivier (2018). Neighbouring characters of the text differ, so that each
    change is there to be seen, and the input determines the target. A leaky network can keep the time where
    the warp is uniform; where it is not, only gates can.

    Variants:
        uniform: every character lasts `warp` steps.
        variable: each lasts 1 to `warp` steps, drawn for each.

    Args:
        length: steps T, of the warped text, which is cut off there.
        variant: see above.
        warp: the most steps that a character lasts.
        alphabet: how many different characters there are.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
    """

    solved_when = (
        "99 % of the targets right (that of Pascanu et al., 2013, for others of its kind; it has none)"
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
            raise ConfigError(f"task.warp={warp} leaves no step to a character; give at least 1.")
        if alphabet < 3:
            raise ConfigError(f"task.alphabet={alphabet} leaves no choice of the next one; give at least 3.")
        # Shorter ones may hold one character, which has none before.
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=warp + 1)
        self.variant = variant
        self.warp = warp
        self.alphabet = alphabet
        self.inputs = Tokens(alphabet)
        self.targets = Classes(alphabet + 1, per_step=True)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        shape = batch_size, length
        shortest = 1 if self.variant == "variable" else self.warp
        ends = torch.randint(shortest, self.warp + 1, shape, generator=generator).cumsum(1)
        # Where one ends, the next starts; what ends too late goes to a step more, which is cut off.
        starts = torch.zeros(batch_size, length + 1, dtype=torch.int64).scatter_(1, ends.clamp_max(length), 1)
        place = starts[:, :-1].cumsum(1)
        changes = torch.randint(1, self.alphabet, shape, generator=generator)
        changes[:, 0] = torch.randint(self.alphabet, (batch_size,), generator=generator)
        text = changes.cumsum(1) % self.alphabet
        before = text.gather(1, (place - 1).clamp_min(0))
        return Batch(text.gather(1, place), torch.where(place > 0, before, self.alphabet))

    def baseline_loss(self, length: int) -> float:
        """Return the mean of H(p) + (1 − p) log K, p the chance that the first character still lasts."""
        total = 0.0
        for t in range(length):
            p = max(1 - t / self.warp, 0.0) if self.variant == "variable" else float(t < self.warp)
            total -= sum(q * math.log(q) for q in (p, 1 - p) if q > 0)
            total += (1 - p) * math.log(self.alphabet)
        return total / length

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99
