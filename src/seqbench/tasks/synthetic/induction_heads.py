"""Induction heads: recall the token that followed a special one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask


class InductionHeads(SyntheticTask):
    """Recall, when a special token comes again at the end, what followed it the first time.

        input    4 1 | 7 0 3 3 |        target 7, after the last step

    All other tokens are random, and the first special one stands anywhere but at the last two steps.

    Which target counts differs in the literature. Olsson et al. (2022), who name the heads, repeat a whole
    random text and take the loss at all tokens of the second copy. H3 (Dao et al., 2023) has the special
    token, and its code takes the loss at all steps or, as an option, at what follows the second one alone.
    Gu & Dao (2023) train at 256 steps with a vocabulary of 16 and count the answer alone. So it is here: all
    other tokens are random, and their loss, the same for every model, would only hide that of the one that
    can be known. With one target, the span is known exactly.

    Args:
        length: steps T.
        alphabet: the number of different tokens beside the special one.
        eval_lengths: lengths to test at; Gu & Dao go from 64 to about a million.
        eval_size: sequences to evaluate on.
    """

    solved_when = (
        "99 % of the answers right (the mark of Pascanu et al., 2013, for related tasks; none is published)"
    )

    def __init__(
        self,
        length: int = 64,
        alphabet: int = 15,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if alphabet < 2:
            raise ConfigError(f"task.alphabet={alphabet} leaves nothing to tell apart; give at least 2.")
        super().__init__(length, eval_lengths, eval_size, min_length=3)
        self.variant = "one target, after the last step"
        self.alphabet = alphabet
        self.inputs = Tokens(alphabet + 1)
        self.targets = Classes(alphabet, per_step=False)

    @property
    def span(self) -> Span:
        """The length: the answer was read one step before the end, or at the second step."""
        return Span("length", 3, lambda length: (1, length - 2))

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        inputs = torch.randint(self.alphabet, (batch_size, length), generator=generator)
        first = torch.randint(length - 2, (batch_size, 1), generator=generator)
        inputs.scatter_(1, first, self.alphabet)
        inputs[:, -1] = self.alphabet
        return Batch(inputs, inputs.gather(1, first + 1)[:, 0])

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        names = [*map(str, range(self.alphabet))]
        return [*names, "|"], names

    def baseline_loss(self, length: int) -> float:
        """Return log K: the answer is one of K at random."""
        return math.log(self.alphabet)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 1 / self.alphabet}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99
