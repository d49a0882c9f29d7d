"""What tasks share whose input is one sequence and whose target is another, of another length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seqbench.tasks.base import Batch, Classes, Measures, Task


@dataclass(frozen=True)
class Sequences(Classes):
    """A sequence of tokens, of `size` there are, of which `end` ends it.

    Targets (B, T) are the tokens of the answer, then `end`; the mask is true up to that one. Also measured, of
    the likeliest tokens up to the first `end`: `exact`, whether a sequence is that of the target (or, where a
    batch has `references`, any of these); and `error`, the tokens that would have to be put in, left out or
    replaced, as a share of those of the target that is nearest, ends not counted.
    """

    end: int

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        said = outputs.argmax(-1)
        right = batch.targets[:, None] if batch.references is None else batch.references
        distances = [edit_distance(said, answer, self.end) for answer in right.unbind(1)]
        sizes = [before_end(answer, self.end).sum(1) for answer in right.unbind(1)]
        distance, best = torch.stack(distances, dim=1).min(1)
        size = torch.stack(sizes, dim=1).gather(1, best[:, None])[:, 0]
        dtype = outputs.dtype
        each = torch.ones_like(size, dtype=dtype)
        measures["exact"] = ((distance == 0).to(dtype), each)
        measures["error"] = (distance / size.clamp_min(1), size.to(dtype))
        return measures


class TwoSequencesTask(Task):
    """A task of putting one sequence of tokens into another."""

    kind: ClassVar[str] = "two-sequence"
    metric = "exact"

    targets: Sequences

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["exact"] >= 0.99


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
