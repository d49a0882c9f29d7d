"""Selective copying: put out, in order, the tokens that stood at random places among noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask
from seqbench.tasks.synthetic.associative_recall import distinct


class SelectiveCopy(SyntheticTask):
    """Repeat, in order, `symbols` tokens that stand at random places among `length` noise tokens.

        input    _ 3 _ _ 1 7 _ _ _ | | |        _ noise, | where an answer is due
        target                     3 1 7        M = 3 symbols, L = 6 noise tokens

    Targets count at the last M steps only. Copy memory has its symbols together, so that a model can count
    steps; here it has to tell symbols from noise, whatever the step (Gu & Dao, 2023, who have 4,096 steps, 16
    symbols and a vocabulary of 16, noise and mark included; the numbers are from memory). It is the denoising
    of Jing et al. (2019) with a mark at each answer and not at the first alone; its form is that of the code
    of S4, whose noise is one token.

    Args:
        length: noise tokens L; a sequence has L + 2M steps.
        symbols: the number M of symbols to recall.
        alphabet: the number of different symbols.
        eval_lengths: noise tokens of the sequences to test at.
        eval_size: sequences to evaluate on.
    """

    solved_when = (
        "99 % of the recalled symbols right (the mark of Pascanu et al., 2013, for related tasks; none is "
        "published)"
    )

    def __init__(
        self,
        length: int = 240,
        symbols: int = 16,
        alphabet: int = 14,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if symbols < 1:
            raise ConfigError(f"task.symbols={symbols} leaves nothing to copy; give at least 1.")
        if alphabet < 2:
            raise ConfigError(f"task.alphabet={alphabet} leaves nothing to tell apart; give at least 2.")
        super().__init__(length, eval_lengths, eval_size, min_length=1)
        self.variant = f"{symbols} symbols of {alphabet}"
        self.symbols = self.counted = symbols
        self.alphabet = alphabet
        self.inputs = Tokens(alphabet + 2)
        self.targets = Classes(alphabet, per_step=True)

    @property
    def steps(self) -> int:
        return self.length + 2 * self.symbols

    @property
    def span(self) -> Span:
        """The noise: all of it lies before a symbol and none after it, or the other way round."""
        return Span("length", 1, lambda length: (self.symbols, length + self.symbols))

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        m, noise, mark = self.symbols, self.alphabet, self.alphabet + 1
        context = length + m
        text = torch.randint(self.alphabet, (batch_size, m), generator=generator)
        places = distinct(generator, batch_size, m, context).sort(1).values
        inputs = torch.full((batch_size, context + m), noise)
        inputs.scatter_(1, places, text)
        inputs[:, context:] = mark
        targets = torch.zeros_like(inputs)
        targets[:, context:] = text
        mask = (torch.arange(context + m) >= context).expand(batch_size, -1)
        return Batch(inputs, targets, mask=mask)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        symbols = [*map(str, range(self.alphabet))]
        return [*symbols, "_", "|"], symbols

    def baseline_loss(self, length: int) -> float:
        """Return log K: each symbol is one of K at random."""
        return math.log(self.alphabet)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 1 / self.alphabet}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99
