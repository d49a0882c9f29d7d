"""What the tasks of answering questions about a story share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.errors import ConfigError, DataError
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric, share
from seqbench.tasks.specs import Classes, Tokens

#: The token after the end of a shorter story.
PADDING = "_"
#: A type is failed if more than this share of its answers is wrong (Weston et al., 2015).
FAILED = 0.05


@dataclass(frozen=True)
class Text(Tokens):
    """Input spec: a story and a question as one sequence of words.

        mary went to the garden . john took the ball . where is mary ?

    Every sentence of the story ends with the token `period`, which occurs nowhere else. The question follows
    the last period.

    size: the number of words, padding included.
    period: the token that ends a sentence.
    sentences: sentences of the longest story.
    words: words of the longest sentence or question, its end included.
    facts: the most supporting facts of an answer; 0 if they are not known.

    A batch has the extras `types` (B,), the number of each story's type, and, if they are known, `facts`
    (B, facts): the numbers of the supporting sentences, in the order of reasoning, then −1.
    """

    period: int
    sentences: int
    words: int
    facts: int

    @property
    def in_words(self) -> str:
        return f"a story of up to {self.sentences} sentences and a question, in {self.size} words"

    def arguments(self) -> dict[str, Any]:
        mine = {"period": self.period, "sentences": self.sentences, "facts": self.facts}
        return super().arguments() | mine


class Story(NamedTuple):
    """A story with one question, in words; `facts` are sentence numbers, in the order of reasoning."""

    sentences: list[list[str]]
    question: list[str]
    answer: str
    facts: list[int]
    type: int


class Answers(Classes):
    """One of `size` answers for each story.

    A model that takes the supporting facts may return a triple: the answers' log-probabilities (B, size), the
    loss (B,) of its addressing, and the numbers (B, hops) of the addressed sentences, −1 for none. The
    training loss is then the sum of both; the metric `loss` is that of the answer.
    """

    @property
    def one_in_words(self) -> str:
        return f"one of {self.size} answers"

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
            exists = facts >= 0
            found = (facts[:, :, None] == outputs[2][:, None]).any(2) & exists
            right = found.sum(1) / exists.sum(1).clamp_min(1)
            measures["facts"] = (right, exists.any(1).to(right.dtype))
        return measures


class StoryTask(Task):
    """A task over stories, each with a question at its end and one answer.

    `error` is the share of wrong answers, over all stories and for each type; `failed` is the number of types
    with an error of more than 5 %. For a model that takes the supporting facts, `facts` is the share of these
    that it addressed.
    """

    kind: ClassVar[str] = "story"
    metric = "error"
    solved_when = "no type with more than 5 % of the answers wrong (Weston et al., 2015)"

    inputs: Text
    #: The names of the types.
    types: tuple[str, ...]

    def read(self, sequences: Sequence[Any]) -> dict[str, Any]:
        """Return new stories, each with its question, as `inputs` and `lengths`."""
        given = super().read(sequences)
        inputs = given["inputs"]
        last = given.get("lengths", torch.full((len(inputs),), inputs.shape[1])) - 1
        if (inputs[torch.arange(len(inputs)), last] == self.inputs.period).any():
            period = self.token_names()[0][self.inputs.period]
            raise DataError(f"A story must end with a question, after the last {period!r}.")
        return given

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
        by_type = [f"error_{name}" for name in self.types]
        absent = {name for name in by_type if math.isnan(metrics.get(name, 0.0))}  # types without a story
        metrics = {name: value for name, value in metrics.items() if name not in absent}
        errors = [metrics[name] for name in by_type if name in metrics]
        return metrics | {"failed": float(sum(e > FAILED for e in errors or [metrics["error"]]))}

    @property
    def solved_metric(self) -> str:
        return "failed"

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["failed"] == 0


def encode(
    stories: Sequence[Story],
    vocabulary: Mapping[str, int],
    answers: Mapping[str, int],
    words: int,
    facts: int,
) -> Batch:
    """Encode stories as tokens.

    Args:
        stories: the stories to encode.
        vocabulary: the token of each word; padding is 0.
        answers: the class of each answer.
        words: the words to which all stories are padded.
        facts: the number to which lists of facts are padded; with 0 there is no such extra.

    Raises:
        ConfigError: a word or an answer is unknown, or a story has more than `words` words.
    """
    rows, classes, lengths, supporting = [], [], [], []
    for story in stories:
        text = [*chain(*story.sentences), *story.question]
        if len(text) > words:
            raise ConfigError(f"A story has {len(text)} words, but there is room for {words} at most.")
        try:
            tokens = [vocabulary[word] for word in text]
        except KeyError as error:
            raise ConfigError(f"The word {error} of a story is not in the vocabulary.") from None
        if story.answer not in answers:
            raise ConfigError(f"The answer {story.answer!r} of a story is not among the known ones.")
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
