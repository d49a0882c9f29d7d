"""Copy memory: hold a string over a long delay, then output it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask


class CopyMemory(SyntheticTask):
    """Repeat `symbols` tokens after a delay of `length` steps.

        input    3 1 7 _ _ _ _ _ | _ _ _        _ blank, | delimiter
        target   _ _ _ _ _ _ _ _ _ 3 1 7        M = 3 symbols, delay T = 6

    The variant of Arjovsky, Shah & Bengio (2016): M symbols, T − 1 blanks, one delimiter, M blanks, and a
    target at each of the T + 2M steps. Other variants have no delimiter, or M + 1 of them, or a loss over the
    last M steps only; their losses are not comparable.

    `accuracy` is over the M symbols to recall; the loss is over all steps.

    Args:
        length: the delay T; a sequence has T + 2M steps.
        symbols: the number M of symbols to recall.
        alphabet: the number of different symbols.
        eval_lengths: delays to test at.
        eval_size: sequences to evaluate on.
    """

    solved_when = (
        "99 % of the recalled symbols right (the mark of Pascanu et al., 2013, for related tasks; none is "
        "published)"
    )

    def __init__(
        self,
        length: int = 100,
        symbols: int = 10,
        alphabet: int = 8,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if symbols < 1:
            raise ConfigError(f"task.symbols={symbols} leaves nothing to copy; give at least 1.")
        if alphabet < 2:
            raise ConfigError(f"task.alphabet={alphabet} leaves nothing to tell apart; give at least 2.")
        super().__init__(length, eval_lengths, eval_size, min_length=1)
        self.variant = "one delimiter, loss on all steps"
        self.symbols = symbols
        self.alphabet = alphabet
        self.inputs = Tokens(alphabet + 2)
        self.targets = Classes(alphabet + 2, per_step=True)

    @property
    def steps(self) -> int:
        return self.length + 2 * self.symbols

    @property
    def span(self) -> Span:
        """The delay: each symbol is due a delay and a text after it was read."""
        return Span("length", 1, lambda length: (length + self.symbols, length + self.symbols))

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        m, blank, delimiter = self.symbols, self.alphabet, self.alphabet + 1
        text = torch.randint(self.alphabet, (batch_size, m), generator=generator)
        inputs = torch.full((batch_size, length + 2 * m), blank)
        targets = inputs.clone()
        inputs[:, :m] = text
        inputs[:, m + length - 1] = delimiter
        targets[:, -m:] = text
        return Batch(inputs, targets)

    def baseline_loss(self, length: int) -> float:
        """Return M log K / (T + 2M): blanks are certain, and each of M symbols is one of K at random."""
        return self.symbols * math.log(self.alphabet) / (length + 2 * self.symbols)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        names = [*map(str, range(self.alphabet)), "_", "|"]
        return names, names[: self.targets.size]

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        correct, weights = (part[:, -self.symbols :] for part in measures["accuracy"])
        return {**measures, "accuracy": (correct, weights)}

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 1 / self.alphabet}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99
