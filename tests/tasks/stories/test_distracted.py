"""Stories among distractors."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from random import Random

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.stories.base import Story
from seqbench.tasks.stories.distracted import ADJECTIVES, NOUNS, VERBS, DistractedStories, distracted
from seqbench.tasks.stories.stories import Stories


def is_distractor(sentence):
    if len(sentence) != 5:
        return False
    the, noun, verb, adjective, period = sentence
    return (the, period) == ("the", ".") and noun in NOUNS and verb in VERBS and adjective in ADJECTIVES


def test_a_story_without_its_distractors_is_one_of_stories():
    task, plain = DistractedStories(distractors=7, length=6), Stories(length=6)
    generator = torch.Generator().manual_seed(0)
    torch.randint(2**62, (), generator=generator)  # the places and words of distractors
    stories = plain.stories(generator, 200, "test", 6)
    drawn = task.stories(torch.Generator().manual_seed(0), 200, "test", 6)
    for story, told in zip(stories, drawn, strict=True):
        kept = [i for i, sentence in enumerate(told.sentences) if not is_distractor(sentence)]
        assert len(told.sentences) == 13 and [told.sentences[i] for i in kept] == story.sentences
        assert (told.question, told.answer, told.type) == (story.question, story.answer, story.type)
        assert [told.sentences[i] for i in told.facts] == [story.sentences[i] for i in story.facts]


def test_the_docstrings_example():
    told = "the sky looked grey . mary moved to the kitchen . the river stayed cold . the wind grew calm ."
    story = Story([["mary", "moved", "to", "the", "kitchen", "."]], ["where", "?"], "kitchen", [0], 0)
    words = told.split()
    assert {*words[1:4], *words[12:15], *words[17:20]} <= {*NOUNS, *VERBS, *ADJECTIVES}
    found = (distracted(Random(seed), story, 3) for seed in range(100))
    places = Counter(tuple(story.facts) for story in found if story.sentences[story.facts[0]][0] == "mary")
    assert set(places) == {(0,), (1,), (2,), (3,)} and places.total() == 100


def test_distractors_share_no_word_with_stories_but_the():
    plain, task = Stories(), DistractedStories()
    new = set(task.vocabulary) - set(plain.vocabulary)
    assert new == {*NOUNS, *VERBS, *ADJECTIVES}
    assert [*task.vocabulary][: len(plain.vocabulary)] == [*plain.vocabulary]
    assert task.inputs.size == plain.inputs.size + 18


@pytest.mark.parametrize("distractors", [1, 9])
def test_the_fact_lies_as_far_back_as_is_said(distractors):
    task = DistractedStories(distractors=distractors, length=4, types=["one_fact"])
    distances = []
    for story in task.stories(torch.Generator().manual_seed(0), 3000, "train", 4):
        sizes = [len(sentence) for sentence in story.sentences]
        name = sum(sizes[: story.facts[0]]) + sizes[story.facts[0]] - 2
        assert [*chain(*story.sentences)][name] == story.answer
        distances.append(sum(sizes) + len(story.question) - 1 - name)
    nearest, farthest = task.span.dependency(distractors)
    assert min(distances) == nearest == 5
    assert max(distances) <= farthest < task.steps == 4 * 6 + 4 + 5 * distractors


def test_no_distractor_is_refused():
    with pytest.raises(ConfigError, match=r"task.distractors=0 leaves nothing to distract; give at least 1"):
        DistractedStories(distractors=0)
