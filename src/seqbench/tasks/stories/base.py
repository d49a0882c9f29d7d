"""What tasks of answering questions about a story share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric, share
from seqbench.tasks.specs import Classes, Tokens

#: The token of what follows the end of a shorter story.
PADDING = "_"
#: A type is failed where more of its answers than this share are wrong (Weston et al., 2015).
FAILED = 0.05


@dataclass(frozen=True)
class Text(Tokens):
    """Input spec: a story and a question as one sequence of words.

        mary went to the garden . john took the ball . where is mary ?

    Every sentence of the story ends with the token `period`, and nothing else does; what follows the last one
    is the question.

    size: words there are, padding among them.
    period: the token that ends a sentence.
    sentences: of the longest story.
    words: of the longest sentence or question, its end among them.
    facts: the most sentences that an answer rests on; 0 where that is not known.
    """

    period: int
    sentences: int
    words: int
    facts: int

    def arguments(self) -> dict[str, Any]:
        mine = {"period": self.period, "sentences": self.sentences, "facts": self.facts}
        return super().arguments() | mine


class Story(NamedTuple):
    """A story with one question, in words; `facts` are numbers of sentences, in the order of reasoning."""

    sentences: list[list[str]]
    question: list[str]
    answer: str
    facts: list[int]
    type: int


class Answers(Classes):
    """One answer for each story, of `size` there are.

    A model that is told the supporting facts may put out a triple: the answers' log-probabilities (B, size),
    the loss (B,) of its addressing, and the numbers (B, hops) of the sentences that it has addressed, −1 for
    none. The loss of training is then the sum of both; what is measured as `loss` is that of the answer.
    """

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return *super().metrics, share("facts")

    def loss(self, outputs: Any, batch: Batch) -> Float[Tensor, ""]:
        return self.losses(outputs, batch).mean()

    def losses(self, outputs: Any, batch: Batch) -> Tensor:
        if isinstance(outputs, tuple):
            answer, addressing, _ = outputs
            loss: Tensor = super().losses(answer, batch) + addressing
            return loss
        return super().losses(outputs, batch)

    def measure(self, outputs: Any, batch: Batch) -> Measures:
        if not isinstance(outputs, tuple):
            return super().measure(outputs, batch)
        measures = super().measure(outputs[0], batch)
        if "facts" in batch.extras:
            facts = batch.extras["facts"]
            there = facts >= 0
            found = (facts[:, :, None] == outputs[2][:, None]).any(2) & there
            right = found.sum(1) / there.sum(1).clamp_min(1)
            measures["facts"] = (right, there.any(1).to(right.dtype))
        return measures


class StoryTask(Task):
    """A task whose sequences are stories, each with a question at its end and one answer.

    Measured for each of its types, and over all: `error`, the share of answers that are wrong, and `failed`,
    the number of types with more than 5 % of them. A model that is told which sentences the answer rests on
    also has `facts`, the share of these that it has addressed.
    """

    kind: ClassVar[str] = "story"
    metric = "error"
    solved_when = "no type with more than 5 % of the answers wrong (Weston et al., 2015)"

    inputs: Text
    #: Names of the types there are.
    types: tuple[str, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        by_type = (share(f"error_{name}", "min") for name in self.types)
        failed = Metric("failed", "min", "types", 0.0, float(len(self.types)))
        return *self.targets.metrics, share("error", "min"), *by_type, failed

    def measure(self, outputs: Any, batch: Batch) -> Measures:
        measures = self.targets.measure(outputs, batch)
        right, weights = measures["accuracy"]
        measures["error"] = (1 - right, weights)
        if "types" in batch.extras and len(self.types) > 1:
            for i, name in enumerate(self.types):
                measures[f"error_{name}"] = (1 - right, weights * (batch.extras["types"] == i))
        return measures

    def summary(self, metrics: dict[str, float]) -> dict[str, float]:
        each = [f"error_{name}" for name in self.types]
        absent = {name for name in each if math.isnan(metrics.get(name, 0.0))}  # types without a story
        metrics = {name: value for name, value in metrics.items() if name not in absent}
        errors = [metrics[name] for name in each if name in metrics]
        return metrics | {"failed": float(sum(e > FAILED for e in errors or [metrics["error"]]))}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["failed"] == 0


def encode(
    stories: Sequence[Story],
    vocabulary: Mapping[str, int],
    answers: Mapping[str, int],
    words: int,
    facts: int,
) -> Batch:
    """Put stories into tokens.

    Args:
        stories: to be put.
        vocabulary: the token of each word; padding is 0.
        answers: the class of each answer.
        words: of the longest sequence, to which all are padded.
        facts: to which lists of facts are padded.

    Raises:
        ConfigError: a word or an answer is not known, or a story is longer than `words`.
    """
    rows, classes, lengths, supporting = [], [], [], []
    for story in stories:
        text = [*chain(*story.sentences), *story.question]
        if len(text) > words:
            raise ConfigError(f"A story has {len(text)} words, and {words} is the most there is room for.")
        try:
            tokens = [vocabulary[word] for word in text]
        except KeyError as error:
            raise ConfigError(f"The word {error} of a story is not in the vocabulary.") from None
        if story.answer not in answers:
            raise ConfigError(f"The answer {story.answer!r} of a story is not among those known.")
        rows.append(tokens + [0] * (words - len(tokens)))
        classes.append(answers[story.answer])
        lengths.append(len(tokens))
        supporting.append(story.facts + [-1] * (facts - len(story.facts)))
    return Batch(
        torch.tensor(rows),
        torch.tensor(classes),
        lengths=torch.tensor(lengths),
        extras={
            "types": torch.tensor([story.type for story in stories]),
            **({"facts": torch.tensor(supporting)} if facts else {}),
        },
    )
