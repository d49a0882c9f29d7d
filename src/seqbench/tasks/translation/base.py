"""What the tasks share that map one sequence to another of another length."""

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
    """A sequence of tokens out of `size`, closed by the token `end`.

    Targets (B, T) are the tokens of the answer, then `end`; the mask is true up to the first `end`. Two more
    measures compare the most likely tokens before the first `end`: `exact`, whether they equal the target (or
    one of the batch's `references` (B, R, T), if it has any); and `error`, the insertions, deletions and
    replacements to the nearest of these, as a share of its tokens, ends excluded. Of an answer that does not
    end, as many tokens count as the longest target of its batch has.
    """

    end: int

    @property
    def in_words(self) -> str:
        return f"a sequence of {self.size - 1} symbols, closed by an end"

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"end": self.end}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return *super().metrics, share("exact"), Metric("error", "min", "share", 0.0)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        references = batch.extras.get("references", batch.targets[:, None])
        answers = references.flatten(0, 1)
        predicted = outputs.argmax(-1).repeat_interleave(references.shape[1], 0)
        distances = edit_distance(predicted, answers, self.end).view(references.shape[:2])
        sizes = before_end(answers, self.end).sum(1).view(references.shape[:2])
        distance, nearest = distances.min(1)
        size = sizes.gather(1, nearest[:, None])[:, 0]
        dtype = outputs.dtype
        measures["exact"] = ((distance == 0).to(dtype), torch.ones_like(size, dtype=dtype))
        measures["error"] = (distance / size.clamp_min(1), size.to(dtype))
        return measures


class TwoSequencesTask(Task):
    """A task that maps one sequence of tokens to another."""

    kind: ClassVar[str] = "two-sequence"
    metric = "exact"
    solved_when = (
        "99 % of the sequences of the greatest training length right, to the last token (no mark is "
        "published)"
    )

    targets: Sequences

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        inputs, targets = map(list, super().token_names())
        targets[self.targets.end] = "end"
        return inputs, targets

    def read(self, sequences: Sequence[Any]) -> dict[str, Any]:
        """Return new sequences, and as `steps` how many tokens of an answer to put out at most."""
        given = super().read(sequences)
        return given | {"steps": self.most_steps(given["inputs"].shape[1])}

    def in_words(self, outputs: Tensor) -> str:
        """Return the tokens of an answer before its end."""
        return super().in_words(outputs[before_end(outputs.argmax(-1)[None], self.targets.end)[0]])

    def most_steps(self, length: int) -> int:
        """Return the most tokens of the answer to an input of `length`, its end included."""
        return max(length + 1, self.validation().targets.shape[1])

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["exact"] >= 0.99


class Reordering(TwoSequencesTask, MixedSizesTask):
    """A task of outputting random tokens in another order, and then the end token.

    Args:
        length: the most tokens of a training sequence; a batch has 1 to `length`, equally likely.
        eval_lengths: tokens of the sequences to test at.
        eval_size: sequences to evaluate on.
        alphabet: the number of symbols, which are 0, 1, …; in the target the next number is the end.
    """

    def __init__(
        self,
        length: int = 20,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        alphabet: int = 8,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, min_length=1)
        if alphabet < 2:
            raise ConfigError(f"task.alphabet={alphabet} leaves nothing to tell apart; give at least 2.")
        self.variant = f"{alphabet} symbols"
        self.alphabet = alphabet
        self.inputs = Tokens(alphabet)
        self.targets = Sequences(alphabet + 1, per_step=True, end=alphabet)

    @abstractmethod
    def answer(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """Return the tokens in the order of the target."""

    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        return (uniform(generator, 1, self.length),)

    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        tokens = torch.randint(self.alphabet, (batch_size, *size), generator=generator)
        end = torch.full((batch_size, 1), self.targets.end)
        return Batch(tokens, torch.cat([self.answer(tokens), end], dim=1))


def before_end(tokens: Int[Tensor, "B T"], end: int) -> Bool[Tensor, "B T"]:
    """Return which tokens precede the first `end`."""
    return (tokens == end).cumsum(1) == 0


def edit_distance(predicted: Int[Tensor, "B T"], answer: Int[Tensor, "B U"], end: int) -> Int[Tensor, " B"]:
    """Return the insertions, deletions and replacements between two sequences (Levenshtein).

    Only the tokens before the first `end` count. The table is computed column by column for all rows at once;
    within a column, successive deletions are a running minimum.
    """
    n, m = before_end(predicted, end).sum(1), before_end(answer, end).sum(1)
    place = torch.arange(predicted.shape[1] + 1, device=predicted.device)
    column = place.expand(len(predicted), -1)  # the distance of the first i tokens to an empty answer
    found = column
    for j in range(answer.shape[1]):
        kept = column[:, :-1] + (predicted != answer[:, j, None]).to(column.dtype)
        best = torch.cat([column[:, :1] + 1, torch.minimum(kept, column[:, 1:] + 1)], dim=1)
        column = (best - place).cummin(1).values + place
        found = torch.where((m > j)[:, None], column, found)
    return found.gather(1, n[:, None])[:, 0]
