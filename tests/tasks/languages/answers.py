"""What the tests of tasks that write a string share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

import torch

from seqbench.tasks.batch import Batch
from seqbench.tasks.languages.strings import StringTask


def rows(task: StringTask, batch: Batch) -> Iterator[tuple[list[str], list[str]]]:
    """Yield each string and its answer in words, after a look at what is around them."""
    symbols, answers = task.token_names()
    assert symbols[-1] == "_"
    lengths = batch.lengths
    steps = [batch.inputs.shape[1]] * len(batch.inputs) if lengths is None else lengths.tolist()
    for given, target, mask, n in zip(*(part.tolist() for part in batch[:3]), steps, strict=True):
        text = [symbols[token] for token in given if symbols[token] != "_"]
        assert all(symbols[token] == "_" for token in given[len(text) :])
        assert n == len(text) + task.answer_steps(len(text))
        due = [t for t, counts in enumerate(mask) if counts]
        assert due == list(range(len(text), len(text) + len(due)))
        yield text, [answers[target[t]] for t in due]


def drawn(task: StringTask, length: int, count: int = 300) -> Batch:
    return task.sample(torch.Generator().manual_seed(0), count, length)


def entropy(weighted: Iterable[tuple[list[str], float]]) -> tuple[float, float]:
    """Return the baseline and the best accuracy of answers that are as likely as their weights."""
    places: dict[int, Counter[str]] = {}
    for answer, weight in weighted:
        for place, symbol in enumerate(answer):
            places.setdefault(place, Counter())[symbol] += weight
    total = sum(sum(here.values()) for here in places.values())
    loss = -sum(w * math.log(w / sum(here.values())) for here in places.values() for w in here.values())
    return loss / total, sum(max(here.values()) for here in places.values()) / total
