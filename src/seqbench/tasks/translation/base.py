"""What tasks share whose input is one sequence and whose target is another, of another length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric, share
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.mixed import MixedSizesTask, uniform


@dataclass(frozen=True)
class Sequences(Classes):
    """A sequence of tokens, of `size` there are, of which `end` ends it.

    Targets (B, T) are the tokens of the answer, then `end`; the mask is true up to that one. Also measured,
    of the likeliest tokens up to the first `end`: `exact`, whether a sequence is that of the target (or,
    where a batch has `references`, any of these); and `error`, the tokens that would have to be put in, left
    out or replaced, as a share of those of the target that is nearest, ends not counted.
    """

    end: int

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"end": self.end}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return *super().metrics, share("exact"), Metric("error", "min", "share", 0.0)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        right = batch.extras.get("references", batch.targets[:, None])
        answers = right.flatten(0, 1)
        said = outputs.argmax(-1).repeat_interleave(right.shape[1], 0)
        distances = edit_distance(said, answers, self.end).view(right.shape[:2])
        sizes = before_end(answers, self.end).sum(1).view(right.shape[:2])
        distance, nearest = distances.min(1)
        size = sizes.gather(1, nearest[:, None])[:, 0]
        dtype = outputs.dtype
        each = torch.ones_like(size, dtype=dtype)
        measures["exact"] = ((distance == 0).to(dtype), each)
        measures["error"] = (distance / size.clamp_min(1), size.to(dtype))
        return measures


class TwoSequencesTask(Task):
    """A task of putting one sequence of tokens into another."""

    kind: ClassVar[str] = "two-sequence"
    metric = "exact"
    solved_when = "99 % of the sequences of the longest that training knows right, to the last token"

    targets: Sequences

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        inputs, targets = map(list, super().token_names())
        targets[self.targets.end] = "end"
        return inputs, targets

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["exact"] >= 0.99


class Reordering(TwoSequencesTask, MixedSizesTask):
    """A task of saying random tokens in another order, and then that it is done.

    Args:
        length: the most tokens of a training sequence; a batch has 1 to so many, equally likely.
        eval_lengths: tokens of the sequences to test at.
        eval_size: sequences to evaluate on.
        alphabet: symbols there are, from 0 on; in the answer the next number is the end.
    """

    def __init__(
        self,
        length: int = 20,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        alphabet: int = 8,
    ) -> None:
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=1)
        if alphabet < 2:
            raise ConfigError(f"task.alphabet={alphabet} leaves nothing to tell apart; give at least 2.")
        self.variant = f"{alphabet} symbols"
        self.alphabet = alphabet
        self.inputs = Tokens(alphabet)
        self.targets = Sequences(alphabet + 1, per_step=True, end=alphabet)

    @abstractmethod
    def answer(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """Return the tokens in the order in which they are to be said."""

    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        return (uniform(generator, 1, self.length),)

    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        tokens = torch.randint(self.alphabet, (batch_size, *size), generator=generator)
        end = torch.full((batch_size, 1), self.targets.end)
        return Batch(tokens, torch.cat([self.answer(tokens), end], dim=1))


def before_end(tokens: Int[Tensor, "B T"], end: int) -> Bool[Tensor, "B T"]:
    """Return where the tokens are that stand before the first `end`."""
    return (tokens == end).cumsum(1) == 0


def edit_distance(said: Int[Tensor, "B T"], answer: Int[Tensor, "B U"], end: int) -> Int[Tensor, " B"]:
    """Return how many tokens must be put in, left out or replaced to make the one the other (Levenshtein).

    Only what stands before the first `end` counts. All rows go at once, column by column of the table: within
    a column, to leave out one token after the other is a running minimum.
    """
    n, m = before_end(said, end).sum(1), before_end(answer, end).sum(1)
    place = torch.arange(said.shape[1] + 1, device=said.device)
    column = place.expand(len(said), -1)  # to make nothing of the first i tokens said
    found = column
    for j in range(answer.shape[1]):
        kept = column[:, :-1] + (said != answer[:, j, None]).to(column.dtype)
        best = torch.cat([column[:, :1] + 1, torch.minimum(kept, column[:, 1:] + 1)], dim=1)
        column = (best - place).cummin(1).values + place
        found = torch.where((m > j)[:, None], column, found)
    return found.gather(1, n[:, None])[:, 0]
