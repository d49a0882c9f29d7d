"""Needle in a haystack: one of several facts, told long ago among distractors, is asked for at the end."""

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

#: Steps of a fact: its mark, its key and its value; and of the question, its mark and its key.
FACT, QUESTION = 3, 2


class Needle(SyntheticTask):
    """Give the value of a key: one of the facts that are told at random places among distractors.

        input    k2 v0 ! k1 v3 v3 k0 ! k2 v1 v2 ? k1        target v3, after the last step

    A fact is a mark `!`, a key and its value; a question is a mark `?` and a key. The example has two facts,
    of which the first is asked for, and five distractors. These are keys and values too, drawn at random, so
    that only the mark tells a fact from what is around it. The keys of the facts are all different; their
    values are drawn independently.

    After the needle with several keys of RULER (Hsieh et al., 2024): a sentence there, "one of the special
    magic numbers for … is: …", is a fact here, and its text or other needles are the distractors. Their
    contexts are of 4,096 to 131,072 tokens of a language model.

    Args:
        length: distractors T; a sequence of F facts has T + 3F + 2 steps.
        facts: facts F, one of which is asked for; their number does not grow with the length.
        keys: the number of different keys.
        values: the number of different values.
        eval_lengths: distractors of the sequences to test at.
        eval_size: sequences to evaluate on.
    """

    solved_when = (
        "99 % of the answers right (the mark of Pascanu et al., 2013, for related tasks; none is published)"
    )

    def __init__(
        self,
        length: int = 64,
        facts: int = 4,
        keys: int = 16,
        values: int = 16,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if facts < 1:
            raise ConfigError(f"task.facts={facts} leaves nothing to ask for; give at least 1.")
        if keys < facts:
            raise ConfigError(
                f"task.keys={keys} has too few keys for task.facts={facts}; give at least {facts}."
            )
        if values < 2:
            raise ConfigError(f"task.values={values} leaves nothing to tell apart; give at least 2.")
        super().__init__(length, eval_lengths, eval_size, min_length=1)
        self.variant = f"{facts} facts"
        self.facts = facts
        self.keys = keys
        self.values = values
        self.inputs = Tokens(keys + values + 2)
        self.targets = Classes(values, per_step=False)

    @property
    def steps(self) -> int:
        return self.length + FACT * self.facts + QUESTION

    @property
    def span(self) -> Span:
        """The distractors: the fact is told directly before the question, or first of all."""
        return Span("length", 1, lambda length: (QUESTION, length + FACT * self.facts - 1))

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        told, asks = self.keys + self.values, self.keys + self.values + 1
        keys = distinct(generator, batch_size, self.facts, self.keys)
        values = torch.randint(self.values, (batch_size, self.facts), generator=generator)
        asked = torch.randint(self.facts, (batch_size, 1), generator=generator)
        # Facts and distractors are in random order; each fact before takes two steps more than a distractor.
        order = distinct(generator, batch_size, self.facts, length + self.facts).sort(1).values
        places = order + (FACT - 1) * torch.arange(self.facts)
        steps = length + FACT * self.facts + QUESTION
        inputs = torch.randint(self.keys + self.values, (batch_size, steps), generator=generator)
        inputs.scatter_(1, places, told)
        inputs.scatter_(1, places + 1, keys)
        inputs.scatter_(1, places + 2, self.keys + values)
        inputs[:, -2] = asks
        inputs[:, -1:] = keys.gather(1, asked)
        return Batch(inputs, values.gather(1, asked)[:, 0])

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        values = [f"v{i}" for i in range(self.values)]
        return [*(f"k{i}" for i in range(self.keys)), *values, "!", "?"], values

    def baseline_loss(self, length: int) -> float:
        """Return the logarithm of the number of values, which are equally likely."""
        return math.log(self.values)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 1 / self.values}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99
