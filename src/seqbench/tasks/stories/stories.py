"""Stories: answer questions about a small world of people, places and objects."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from random import Random

import torch

from seqbench.errors import ConfigError, nearest
from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.stories.base import PADDING, Answers, Story, StoryTask, Text, encode
from seqbench.tasks.stories.questions import QUESTION_TYPES, Combination
from seqbench.tasks.streams.fresh import SyntheticTask

#: The splits, and the approximate share of the combinations of each question and answer in each.
SHARES = {"validation": 0.1, "test": 0.2, "train": 0.7}


@cache
def split_combinations(name: str) -> dict[str, dict[str, list[Combination]]]:
    """Return the combinations of a type by split and answer.

    Those of each question and answer are split by hash separately. So every question occurs in every split
    with every answer, equally often: the combinations that are kept from training do not rule out an answer.
    """
    kind = QUESTION_TYPES[name]
    groups: dict[tuple[str, str], list[Combination]] = {}
    for answer, combination in kind.combinations():
        groups.setdefault((kind.question.format(*combination), answer), []).append(combination)
    splits: dict[str, dict[str, list[Combination]]] = {split: {} for split in SHARES}
    for (_, answer), found in groups.items():
        found.sort(key=lambda combination: hashlib.sha256(repr((name, combination)).encode()).digest())
        start = 0
        for split, share in SHARES.items():
            stop = len(found) if split == "train" else start + max(1, round(share * len(found)))
            splits[split].setdefault(answer, []).extend(found[start:stop])
            start = stop
    return splits


class Stories(StoryTask, SyntheticTask):
    """Answer a question about a small world in which people move about and hand objects around.

        0 mary moved to the kitchen .          one_fact      where is john ?                garden     5
        1 john went to the kitchen .           two_facts     where is the apple ?           garden     3 5
        2 mary took the apple .                three_facts   where was the apple before
        3 mary gave the apple to john .                        the garden ?                 kitchen    3 5 1
        4 john got the milk .                  yes_no        is mary in the garden ?        no         0
        5 john journeyed to the garden .       counting      how many objects is john
                                                                carrying ?                  two        3 4
                                               lists         what is john carrying ?        apple,milk 3 4
        0 the garden is north of the attic .   path_finding  how do you go from the kitchen
        1 the attic is west of the kitchen .                   to the garden ?              w,n        1 0

    Each story has one question. On the right are its answer and the supporting facts, in the order of
    reasoning: all of them are necessary, and together they are sufficient. After types 1, 2, 3, 6, 7, 8 and
    19 of bAbI (Weston et al., 2015). All types are equally frequent, and so are the answers of each type.

    The names in a question, in its answer, and in between (who has the object, the place on the way; else the
    first other person of the story) form a combination. Each combination belongs to training, validation or
    test: about 70, 10 and 20 % of them. So no combination of a test occurs in training.

    Args:
        length: the most sentences of a training story; a type's stories have any number of sentences from
            its least one on, equally likely.
        eval_lengths: sentences of the stories to test at.
        eval_size: stories to evaluate on.
        types: names of the types of question; None means all.
    """

    def __init__(
        self,
        length: int = 10,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        types: Sequence[str] | None = None,
    ) -> None:
        names = tuple(QUESTION_TYPES if types is None else types)
        for name in names:
            if name not in QUESTION_TYPES:
                raise ConfigError(
                    f"task.types has {name!r}, which is not a type; there are {', '.join(QUESTION_TYPES)}."
                    f"{nearest(name, QUESTION_TYPES)}"
                )
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                "task.types is empty or has a type twice; give each at most once, or null for all."
            )
        kinds = [QUESTION_TYPES[name] for name in names]
        least = max(kind.least for kind in kinds)
        super().__init__(length, eval_lengths, eval_size, min_length=least)
        self.types = names
        self.variant = "all types" if len(names) == len(QUESTION_TYPES) else ", ".join(names)
        vocabulary = sorted(set().union(*(kind.vocabulary() for kind in kinds)))
        self.vocabulary = {word: token for token, word in enumerate([PADDING, *vocabulary])}
        answers = dict.fromkeys(answer for name in names for answer in split_combinations(name)["train"])
        self.answers = {answer: i for i, answer in enumerate(answers)}
        self.inputs = Text(
            size=len(self.vocabulary),
            period=self.vocabulary["."],
            sentences=max(self.length, *self.eval_lengths),
            words=max(max(kind.words(1) - kind.words(0), kind.words(0)) for kind in kinds),
            facts=max(kind.facts for kind in kinds),
        )
        self.targets = Answers(len(self.answers), per_step=False)

    @property
    def steps(self) -> int:
        return self.words(self.length)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return list(self.vocabulary), list(self.answers)

    def words(self, sentences: int) -> int:
        """Return the words of the longest story of `sentences` sentences, to which all are padded."""
        return max(QUESTION_TYPES[name].words(sentences) for name in self.types)

    def stories(
        self, generator: torch.Generator, number: int, split: str, longest: int, exact: bool = True
    ) -> list[Story]:
        """Draw stories of a split: all of `longest` sentences (`exact`), or of at most so many."""
        random = Random(int(torch.randint(2**62, (), generator=generator)))
        first = random.randrange(len(self.types))
        drawn = []
        for i in range(first, first + number):
            type_ = i % len(self.types)
            name = self.types[type_]
            kind, choices = QUESTION_TYPES[name], split_combinations(name)[split]
            answer = random.choice(tuple(choices))
            combination = random.choice(choices[answer])
            sentences = longest if exact else random.randint(kind.least, longest)
            story, facts = kind.tell(random, sentences, combination)
            drawn.append(Story(story, kind.ask(combination), answer, facts, type_))
        return drawn

    def encode(self, stories: Sequence[Story], longest: int) -> Batch:
        """Encode stories of at most `longest` sentences as tokens."""
        return encode(stories, self.vocabulary, self.answers, self.words(longest), self.inputs.facts)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        return self.encode(self.stories(generator, batch_size, "train", length), length)

    def sample_training(self, generator: torch.Generator, batch_size: int) -> Batch:
        stories = self.stories(generator, batch_size, "train", self.length, exact=False)
        return self.encode(stories, self.length)

    def validation(self) -> Batch:
        stories = self.stories(
            generator("validation"), self.eval_size, "validation", self.length, exact=False
        )
        return self.encode(stories, self.length)

    def test(self, length: int) -> Batch:
        stories = self.stories(generator("test", length), self.eval_size, "test", length)
        return self.encode(stories, length)

    def baseline_loss(self, length: int) -> float:
        """Return the entropy of the answers over all types; types may share answers."""
        return math.fsum(-p * math.log(p) for p in self._answers().values())

    def chance(self, length: int) -> dict[str, float]:
        most = max(self._answers().values())
        return {"error": 1 - most, "accuracy": most}

    def _answers(self) -> dict[str, float]:
        """Return how likely each answer is."""
        chances: dict[str, float] = defaultdict(float)
        for name in self.types:
            answers = split_combinations(name)["train"]
            for answer in answers:
                chances[answer] += 1 / (len(self.types) * len(answers))
        return chances
