"""Stories among distractors: answer from a few facts in a text that is mostly about something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import ClassVar

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.span import Span
from seqbench.tasks.stories.base import Story
from seqbench.tasks.stories.questions import QUESTION_TYPES
from seqbench.tasks.stories.stories import Stories

#: The words of distractors, which occur in no story: the sky looked grey .
NOUNS = ("moon", "rain", "river", "sea", "sky", "snow", "sun", "wind")
VERBS = ("grew", "looked", "seemed", "stayed")
ADJECTIVES = ("calm", "cold", "dark", "grey", "quiet", "warm")
#: The words of a distractor, its period included.
WORDS = 5
#: The words of the shortest sentence of a story before the name at its end.
BEFORE_NAME = 3


class DistractedStories(Stories):
    """Answer a question about a story whose sentences stand among others that say nothing about it.

        0 the sky looked grey .
        1 mary moved to the kitchen .
        2 the river stayed cold .                      where is mary ?      kitchen     1
        3 the wind grew calm .

    The stories, their questions and their splits are those of `stories`; `distractors` further sentences are
    put at random places. After BABILong (Kuratov et al., 2024), where the facts of bAbI are hidden in books
    and the text has a given number of tokens; here it has a given number of distractors.

    Args:
        distractors: sentences that say nothing about the story, in every story.
        length: the most sentences of a training story without distractors, as in `stories`.
        eval_lengths: sentences, without distractors, of the stories to test at.
        eval_size: stories to evaluate on.
        types: names of the types of question; None means all.
    """

    span_key: ClassVar[str] = "distractors"

    def __init__(
        self,
        distractors: int = 20,
        length: int = 10,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        types: Sequence[str] | None = None,
    ) -> None:
        if distractors < 1:
            raise ConfigError(f"task.distractors={distractors} leaves nothing to distract; give at least 1.")
        super().__init__(length, eval_lengths, eval_size, types)
        self.distractors = distractors
        self.variant = f"{self.variant}; {distractors} distractors"
        for word in (*NOUNS, *VERBS, *ADJECTIVES):
            self.vocabulary.setdefault(word, len(self.vocabulary))
        self.inputs = replace(
            self.inputs,
            size=len(self.vocabulary),
            sentences=self.inputs.sentences + distractors,
            words=max(self.inputs.words, WORDS),
        )

    @property
    def span(self) -> Span:
        """The distractors: at least a question's words after the first fact, and at most the whole text."""
        nearest = 1 + min(QUESTION_TYPES[name].words(0) for name in self.types)
        story = super().words(self.length) - 1 - BEFORE_NAME
        return Span(self.span_key, 1, lambda distractors: (nearest, story + WORDS * distractors))

    def words(self, sentences: int) -> int:
        return super().words(sentences) + WORDS * self.distractors

    def stories(
        self, generator: torch.Generator, number: int, split: str, longest: int, exact: bool = True
    ) -> list[Story]:
        random = Random(int(torch.randint(2**62, (), generator=generator)))
        stories = super().stories(generator, number, split, longest, exact)
        return [distracted(random, story, self.distractors) for story in stories]


def distracted(random: Random, story: Story, distractors: int) -> Story:
    """Return a story with so many further sentences at random places; the facts keep their sentences."""
    places = sorted(random.sample(range(len(story.sentences) + distractors), len(story.sentences)))
    sentences = [
        ["the", random.choice(NOUNS), random.choice(VERBS), random.choice(ADJECTIVES), "."]
        for _ in range(len(story.sentences) + distractors)
    ]
    for place, sentence in zip(places, story.sentences, strict=True):
        sentences[place] = sentence
    return story._replace(sentences=sentences, facts=[places[fact] for fact in story.facts])
