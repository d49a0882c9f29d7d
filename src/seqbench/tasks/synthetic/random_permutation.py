"""Random permutation: the first symbol returns at the end, after uninformative symbols."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask


class RandomPermutation(SyntheticTask):
    """Predict the next symbol. Only the last can be predicted: it equals the first.

        input    1 57 12 99 40        the first symbol is 0 or 1, the others are from 2, …, 99
        target  57 12 99 40  1

    The symbols are random and not a permutation; the name comes from a problem of Hochreiter & Schmidhuber
    (1997, experiment 2a), where they were in order.

    Variants:
        every: a target at every step; all but the last cost log 98 for any model (Martens & Sutskever, 2011,
            and their code).
        last: only the target of the last step (the code of Pascanu, Mikolov & Bengio, 2013).

    `accuracy` is that of the last step; the loss is over all targets.

    Args:
        length: steps T.
        variant: see above.
        alphabet: the number of different symbols.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
    """

    solved_when = "under 1 % of the last symbols wrong (Pascanu, Mikolov & Bengio, 2013)"

    def __init__(
        self,
        length: int = 100,
        variant: Literal["every", "last"] = "every",
        alphabet: int = 100,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if variant not in ("every", "last"):
            raise ConfigError(f"task.variant={variant} is unknown; there are every and last.")
        if alphabet < 3:
            raise ConfigError(f"task.alphabet={alphabet} leaves none for the middle; give at least 3.")
        super().__init__(length, eval_lengths, eval_size, min_length=2)
        self.variant = variant
        self.alphabet = alphabet
        self.inputs = Tokens(alphabet)
        self.targets = Classes(alphabet, per_step=variant == "every")

    @property
    def span(self) -> Span:
        """The length: the first symbol is due after the last step."""
        return Span("length", 2, lambda length: (length - 1, length - 1))

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        text = torch.randint(2, self.alphabet, (batch_size, length + 1), generator=generator)
        text[:, 0] = text[:, -1] = torch.randint(2, (batch_size,), generator=generator)
        return Batch(text[:, :-1], text[:, 1:] if self.targets.per_step else text[:, -1])

    def baseline_loss(self, length: int) -> float:
        """Return ((T − 1) log(K − 2) + log 2) / T, or log 2 for the last step only."""
        if not self.targets.per_step:
            return math.log(2)
        return ((length - 1) * math.log(self.alphabet - 2) + math.log(2)) / length

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        if not self.targets.per_step:
            return measures
        correct, weights = (part[:, -1:] for part in measures["accuracy"])
        return {**measures, "accuracy": (correct, weights)}

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] > 0.99
