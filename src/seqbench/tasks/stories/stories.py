"""Stories: answer questions about a small world of people, places and objects, told in sentences."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import combinations, permutations, product
from random import Random
from typing import ClassVar

import torch

from seqbench.errors import ConfigError, nearest
from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.stories.base import PADDING, Answers, Story, StoryTask, Text, encode
from seqbench.tasks.stories.world import (
    DIRECTIONS,
    HANDLING,
    HERO,
    OBJECTS,
    OTHER,
    PERSONS,
    PLACES,
    VERBS,
    VISITED,
    Event,
    World,
)
from seqbench.tasks.streams.fresh import SyntheticTask

NUMBERS = ("none", "one", "two", "three")

#: The splits, and about what share of the combinations of each question and answer is theirs.
SHARES = {"validation": 0.1, "test": 0.2, "train": 0.7}
#: What a question is about and what its answer comes from, in names, such as (object, person, place).
Combination = tuple[str, ...]
#: The sentences of a story, and the numbers of those that its answer rests on.
Told = tuple[list[list[str]], list[int]]


class Kind(ABC):
    """A type of question."""

    #: The question, with parts of the combination.
    question: ClassVar[str]
    #: Sentences of the shortest story, and the most that an answer rests on.
    least: ClassVar[int] = 2
    facts: ClassVar[int] = 1
    #: What its stories tell of.
    acts: ClassVar[tuple[str, ...]] = HANDLING

    @abstractmethod
    def combinations(self) -> Iterator[tuple[str, Combination]]:
        """Yield every answer with every combination that has it."""

    @abstractmethod
    def tell(self, random: Random, sentences: int, combination: Combination) -> Told:
        """Tell a story to which a combination is true."""

    def ask(self, combination: Combination) -> list[str]:
        """Return the question in words."""
        return self.question.format(*combination).split()

    def words(self, sentences: int) -> int:
        """Return the words of the longest story of so many sentences, with its question."""
        return sentences * (7 if "give" in self.acts else 6) + len(self.question.split())

    def vocabulary(self) -> set[str]:
        """Return all words of its stories and questions."""
        verbs = {word for act in self.acts for verb in VERBS[act] for word in verb}
        things = OBJECTS if "take" in self.acts else ()
        asked = {word for word in self.question.split() if word[0] != "{"}
        return {"the", ".", *PERSONS, *PLACES, *things, *verbs, *asked}


class OneFact(Kind):
    """Where somebody is: (person, companion, place). The fact is the person's last move."""

    question = "where is {0} ?"
    acts = ("move",)

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for people, place in product(permutations(PERSONS, 2), PLACES):
            yield place, (*people, place)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Told:
        person, other, place = combination
        world = World(random)
        world.go_on(sentences, [partial(world.move, HERO), partial(world.move, OTHER)])
        who, here = world.choose(list(world.place.items()))
        people = {who: person, world.companion(who): other}
        return world.told(people, {here: place}), [world.last_move(who)]


class TwoFacts(Kind):
    """Where an object is: (object, who has it or dropped it, place).

    The facts: that the person has it or dropped it, and the person's move there.
    """

    question = "where is the {0} ?"
    facts = 2

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for thing, person, place in product(OBJECTS, PERSONS, PLACES):
            yield place, (thing, person, place)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Told:
        thing, person, place = combination
        world = World(random, objects=3, reserved=1)
        world.go_on(sentences, [partial(world.move, HERO), world.acquire])
        what = world.choose([what for what in range(3) if what not in world.unseen])
        handled = world.last_handled(what)
        act, who, _, to = world.events[handled]
        if act == "give":
            who = to
        moved = world.last_move(who, before=handled if act == "drop" else None)
        return world.told({who: person}, {world.events[moved].what: place}, {what: thing}), [handled, moved]


class ThreeFacts(Kind):
    """Where an object was before it was last at a place: (object, who brought it there, there, before).

    The facts: how the person got it, the move there, and the person's move before.
    """

    question = "where was the {0} before the {2} ?"
    least = 3
    facts = 3

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for thing, person, (there, before) in product(OBJECTS, PERSONS, permutations(PLACES, 2)):
            yield before, (thing, person, there, before)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Told:
        thing, person, there, before = combination
        world = World(random, objects=3, reserved=1)
        move = partial(world.move, HERO)
        world.go_on(sentences, [move, world.acquire, move])
        (what, place), moved = world.choose(list(world.brought.items()))
        who = world.events[moved].who
        came = world.last_move(who, before=moved)
        places = {place: there, world.events[came].what: before}
        facts = [world.last_handled(what, before=moved), moved, came]
        return world.told({who: person}, places, {what: thing}), facts


class YesNo(Kind):
    """Whether somebody is at a place: (person, companion, that place, where they are).

    The fact is the person's last move.
    """

    question = "is {0} in the {2} ?"

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for people, asked, place in product(permutations(PERSONS, 2), PLACES, PLACES):
            yield "yes" if asked == place else "no", (*people, asked, place)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Told:
        person, other, asked, place = combination
        world = World(random, objects=3)
        world.go_on(sentences, [partial(world.move, HERO), partial(world.move, OTHER)])
        who, here = world.choose(list(world.place.items()))
        people = {who: person, world.companion(who): other}
        places = {here: place}
        if asked != place:  # a place that the story tells of, if it can be: else its absence says no
            visited = {event.what: None for event in world.events if event.act == "move"}
            elsewhere = [there for there in visited if there != here]
            places[world.choose(elsewhere or [there for there in range(VISITED) if there != here])] = asked
        return world.told(people, places), [world.last_move(who)]


class Carrying(Kind):
    """What somebody carries: (person, companion, objects). The facts are how the person got each of these."""

    least = 5
    facts = 3

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for people, size in product(permutations(PERSONS, 2), range(len(NUMBERS))):
            for things in combinations(OBJECTS, size):
                yield self.answer(things), (*people, *things)

    @abstractmethod
    def answer(self, things: tuple[str, ...]) -> str:
        """Return what is answered where these objects are carried."""

    def tell(self, random: Random, sentences: int, combination: Combination) -> Told:
        person, other, *things = combination
        # Now and then the hero has lost something, too.
        most = min(len(OBJECTS) - len(things), 2, (sentences - 2 - len(things)) // 2)
        lost = int(random.random() * (most + 1))
        world = World(random, objects=len(OBJECTS), reserved=len(things) + lost)
        plan: list[Callable[[], None]] = [partial(world.move, HERO)]
        got, gone = len(things) + lost, lost
        while got or gone:
            carries = got < len(things) + gone
            if gone and (not got or (carries and random.random() < 0.5)):
                plan.append(partial(world.lose, HERO))
                gone -= 1
            else:
                plan.append(world.acquire)
                got -= 1
        plan.insert(world.pick(len(plan) + 1), partial(world.move, OTHER))
        world.go_on(sentences, plan, guarded=True)
        random.shuffle(things)
        held = world.held[HERO]
        people = {HERO: person, world.companion(HERO): other}
        facts = sorted(world.last_handled(what) for what in held)
        return world.told(people, objects=dict(zip(held, things, strict=True))), facts


class Counting(Carrying):
    question = "how many objects is {0} carrying ?"

    def answer(self, things: tuple[str, ...]) -> str:
        return NUMBERS[len(things)]


class Lists(Carrying):
    question = "what is {0} carrying ?"

    def answer(self, things: tuple[str, ...]) -> str:
        return ",".join(things) or "nothing"


class PathFinding(Kind):
    """How to go from a place to another by way of a third: (from, by, to, both directions).

    Each place but the first lies beside one told of elsewhere, so that no other way is known. Once all
    places are on the map, or if the story is longer, people move about. The facts are the two steps.
    """

    question = "how do you go from the {0} to the {2} ?"
    least = 3
    facts = 2
    acts = ("move", *DIRECTIONS)

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for ways in product(DIRECTIONS, repeat=2):
            if ways[1] != opposite(ways[0]):
                for places in permutations(PLACES, 3):
                    yield ",".join(way[0] for way in ways), (*places, *ways)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Told:
        world = World(random)
        cells = [(0, 0)]
        told: list[Event] = []
        for start, way in enumerate(combination[3:]):
            self._lay(world, cells, told, start, way)
        while len(told) < min(sentences, len(PLACES) - 1):
            self._lay(world, cells, told, world.pick(len(cells)), world.choose(tuple(DIRECTIONS)))
        plan = [partial(world.events.append, event) for event in random.sample(told, len(told))]
        world.go_on(sentences, plan)
        facts = [world.events.index(event) for event in told[:2]]
        return world.told(places=dict(enumerate(combination[:3]))), facts

    def _lay(
        self, world: World, cells: list[tuple[int, int]], told: list[Event], start: int, way: str
    ) -> None:
        """Lay the next place some way from another, unless one is there, and say it from either's view."""
        cell = (cells[start][0] + DIRECTIONS[way][0], cells[start][1] + DIRECTIONS[way][1])
        if cell not in cells:
            new = len(cells)
            cells.append(cell)
            told.append(Event(way, new, start) if world.pick(2) else Event(opposite(way), start, new))

    def words(self, sentences: int) -> int:
        return super().words(sentences) + 2 * min(sentences, len(PLACES) - 1)


def opposite(way: str) -> str:
    """Return the direction back."""
    names = tuple(DIRECTIONS)
    return names[(names.index(way) + 2) % 4]


KINDS: dict[str, Kind] = {
    "one_fact": OneFact(),
    "two_facts": TwoFacts(),
    "three_facts": ThreeFacts(),
    "yes_no": YesNo(),
    "counting": Counting(),
    "lists": Lists(),
    "path_finding": PathFinding(),
}


@cache
def dealt(name: str) -> dict[str, dict[str, list[Combination]]]:
    """Return the combinations of a type by split and answer.

    Those of each question with each answer are dealt out by themselves, in the order of their hashes. So
    every question comes up in every split with every answer, equally often: what is kept from training says
    nothing of what the answer to a question is not.
    """
    kind = KINDS[name]
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

    Each story has one question; on the right are its answer and the sentences that it rests on, in the order
    of reasoning: none of these can be missed, and no other is needed. After types 1, 2, 3, 6, 7, 8 and 19 of
    bAbI (Weston et al., 2015). The types come up equally often, and so do the answers of each type.

    What a question is about, its answer, and whom or what that comes by (who has the object, the place
    between) or else who is with them (the first other person that is told of) belong together to training,
    validation or test alone: about 70, 10 and 20 % of all such combinations. So no test has been seen.

    Args:
        length: the most sentences of a training story; a type's stories have any number of them, from the
            fewest that it needs, equally likely.
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
        names = tuple(KINDS if types is None else types)
        for name in names:
            if name not in KINDS:
                raise ConfigError(
                    f"task.types has {name!r}, which is none; there are {', '.join(KINDS)}."
                    f"{nearest(name, KINDS)}"
                )
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                "task.types is empty or has a type twice; give each once at most, or null for all."
            )
        kinds = [KINDS[name] for name in names]
        least = max(kind.least for kind in kinds)
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=least)
        self.types = names
        self.variant = "all types" if len(names) == len(KINDS) else ", ".join(names)
        vocabulary = sorted(set().union(*(kind.vocabulary() for kind in kinds)))
        self.vocabulary = {word: token for token, word in enumerate([PADDING, *vocabulary])}
        answers = dict.fromkeys(answer for name in names for answer in dealt(name)["train"])
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
        """Return the words of the longest story of so many sentences: all are padded to as many."""
        return max(KINDS[name].words(sentences) for name in self.types)

    def stories(
        self, generator: torch.Generator, number: int, split: str, longest: int, exact: bool = True
    ) -> list[Story]:
        """Draw stories of a split: all of `longest` sentences, or of at most so many."""
        random = Random(int(torch.randint(2**62, (), generator=generator)))
        first = random.randrange(len(self.types))
        drawn = []
        for i in range(first, first + number):
            type_ = i % len(self.types)
            name = self.types[type_]
            kind, choices = KINDS[name], dealt(name)[split]
            answer = random.choice(tuple(choices))
            combination = random.choice(choices[answer])
            sentences = longest if exact else random.randint(kind.least, longest)
            told, facts = kind.tell(random, sentences, combination)
            drawn.append(Story(told, kind.ask(combination), answer, facts, type_))
        return drawn

    def encode(self, stories: Sequence[Story], longest: int) -> Batch:
        """Put stories of at most `longest` sentences into tokens."""
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
        """Return the entropy of the answers: of those of all types, which share some, together."""
        chances: dict[str, float] = defaultdict(float)
        for name in self.types:
            answers = dealt(name)["train"]
            for answer in answers:
                chances[answer] += 1 / (len(self.types) * len(answers))
        return math.fsum(-p * math.log(p) for p in chances.values())
