"""The types of question of the stories: what each asks, and the stories that answer it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, permutations, product
from random import Random
from typing import ClassVar

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
    opposite,
)

NUMBERS = ("none", "one", "two", "three")

#: The names in a question, its answer and the supporting facts, such as (object, person, place).
Combination = tuple[str, ...]
#: The sentences of a story, and the numbers of those that support the answer.
Narrative = tuple[list[list[str]], list[int]]


class QuestionType(ABC):
    """A type of question."""

    #: The question; {0}, {1}, … stand for names of the combination.
    question: ClassVar[str]
    #: Sentences of the shortest story, and the most supporting facts of an answer.
    least: ClassVar[int] = 2
    facts: ClassVar[int] = 1
    #: The acts of its stories.
    acts: ClassVar[tuple[str, ...]] = HANDLING

    @abstractmethod
    def combinations(self) -> Iterator[tuple[str, Combination]]:
        """Yield every combination with its answer, the answer first."""

    @abstractmethod
    def tell(self, random: Random, sentences: int, combination: Combination) -> Narrative:
        """Draw a story of which a combination is true."""

    def ask(self, combination: Combination) -> list[str]:
        """Return the question in words."""
        return self.question.format(*combination).split()

    def words(self, sentences: int) -> int:
        """Return the words of the longest story of `sentences` sentences, including its question."""
        return sentences * (7 if "give" in self.acts else 6) + len(self.question.split())

    def vocabulary(self) -> set[str]:
        """Return all words of the stories and questions."""
        verbs = {word for act in self.acts for verb in VERBS[act] for word in verb}
        things = OBJECTS if "take" in self.acts else ()
        asked = {word for word in self.question.split() if word[0] != "{"}
        return {"the", ".", *PERSONS, *PLACES, *things, *verbs, *asked}


class OneFact(QuestionType):
    """Where a person is: (person, companion, place). The fact is the person's last move."""

    question = "where is {0} ?"
    acts = ("move",)

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for people, place in product(permutations(PERSONS, 2), PLACES):
            yield place, (*people, place)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Narrative:
        person, other, place = combination
        world = World(random)
        world.go_on(sentences, [partial(world.move, HERO), partial(world.move, OTHER)])
        who, here = world.choose(list(world.place.items()))
        people = {who: person, world.companion(who): other}
        return world.sentences(people, {here: place}), [world.last_move(who)]


class TwoFacts(QuestionType):
    """Where an object is: (object, who has it or dropped it, place).

    The facts are that the person has it or dropped it, and the person's move to the place.
    """

    question = "where is the {0} ?"
    facts = 2

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for thing, person, place in product(OBJECTS, PERSONS, PLACES):
            yield place, (thing, person, place)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Narrative:
        thing, person, place = combination
        world = World(random, objects=3, reserved=1)
        world.go_on(sentences, [partial(world.move, HERO), world.acquire])
        what = world.choose([what for what in range(3) if what not in world.unseen])
        handled = world.last_handled(what)
        act, who, _, to = world.events[handled]
        if act == "give":
            who = to
        moved = world.last_move(who, before=handled if act == "drop" else None)
        return world.sentences({who: person}, {world.events[moved].what: place}, {what: thing}), [
            handled,
            moved,
        ]


class ThreeFacts(QuestionType):
    """Where an object was before it was last at a place: (object, who brought it there, there, before).

    The facts are how the person got it, the move there, and the person's move before.
    """

    question = "where was the {0} before the {2} ?"
    least = 3
    facts = 3

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for thing, person, (there, before) in product(OBJECTS, PERSONS, permutations(PLACES, 2)):
            yield before, (thing, person, there, before)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Narrative:
        thing, person, there, before = combination
        world = World(random, objects=3, reserved=1)
        move = partial(world.move, HERO)
        world.go_on(sentences, [move, world.acquire, move])
        (what, place), moved = world.choose(list(world.brought.items()))
        who = world.events[moved].who
        came = world.last_move(who, before=moved)
        places = {place: there, world.events[came].what: before}
        facts = [world.last_handled(what, before=moved), moved, came]
        return world.sentences({who: person}, places, {what: thing}), facts


class YesNo(QuestionType):
    """Whether a person is at a place: (person, companion, place of the question, place of the person).

    The fact is the person's last move.
    """

    question = "is {0} in the {2} ?"

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for people, asked, place in product(permutations(PERSONS, 2), PLACES, PLACES):
            yield "yes" if asked == place else "no", (*people, asked, place)

    def tell(self, random: Random, sentences: int, combination: Combination) -> Narrative:
        person, other, asked, place = combination
        world = World(random, objects=3)
        world.go_on(sentences, [partial(world.move, HERO), partial(world.move, OTHER)])
        who, here = world.choose(list(world.place.items()))
        people = {who: person, world.companion(who): other}
        places = {here: place}
        if asked != place:  # a visited place if there is one: else its absence would imply "no"
            visited = {event.what: None for event in world.events if event.act == "move"}
            elsewhere = [there for there in visited if there != here]
            places[world.choose(elsewhere or [there for there in range(VISITED) if there != here])] = asked
        return world.sentences(people, places), [world.last_move(who)]


class Carrying(QuestionType):
    """What a person carries: (person, companion, objects). The facts are how the person got each object."""

    least = 5
    facts = 3

    def combinations(self) -> Iterator[tuple[str, Combination]]:
        for people, size in product(permutations(PERSONS, 2), range(len(NUMBERS))):
            for things in combinations(OBJECTS, size):
                yield self.answer(things), (*people, *things)

    @abstractmethod
    def answer(self, things: tuple[str, ...]) -> str:
        """Return the answer for the objects that are carried."""

    def tell(self, random: Random, sentences: int, combination: Combination) -> Narrative:
        person, other, *things = combination
        # The hero may have lost some objects before.
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
        return world.sentences(people, objects=dict(zip(held, things, strict=True))), facts


class Counting(Carrying):
    question = "how many objects is {0} carrying ?"

    def answer(self, things: tuple[str, ...]) -> str:
        return NUMBERS[len(things)]


class Lists(Carrying):
    question = "what is {0} carrying ?"

    def answer(self, things: tuple[str, ...]) -> str:
        return ",".join(things) or "nothing"


class PathFinding(QuestionType):
    """The way from a place to another through a third: (from, through, to, both directions).

    Each further place lies beside one already on the map, so that there is no other way. In longer stories
    people also move about. The facts are the two steps.
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

    def tell(self, random: Random, sentences: int, combination: Combination) -> Narrative:
        world = World(random)
        cells = [(0, 0)]
        laid: list[Event] = []

        def lay(start: int, way: str) -> None:
            """Lay a new place beside another, unless the cell is taken, and describe it from either side."""
            cell = (cells[start][0] + DIRECTIONS[way][0], cells[start][1] + DIRECTIONS[way][1])
            if cell not in cells:
                new = len(cells)
                cells.append(cell)
                laid.append(Event(way, new, start) if world.pick(2) else Event(opposite(way), start, new))

        for start, way in enumerate(combination[3:]):
            lay(start, way)
        while len(laid) < min(sentences, len(PLACES) - 1):
            lay(world.pick(len(cells)), world.choose(tuple(DIRECTIONS)))
        plan = [partial(world.events.append, event) for event in random.sample(laid, len(laid))]
        world.go_on(sentences, plan)
        facts = [world.events.index(event) for event in laid[:2]]
        return world.sentences(places=dict(enumerate(combination[:3]))), facts

    def words(self, sentences: int) -> int:
        return super().words(sentences) + 2 * min(sentences, len(PLACES) - 1)


QUESTION_TYPES: dict[str, QuestionType] = {
    "one_fact": OneFact(),
    "two_facts": TwoFacts(),
    "three_facts": ThreeFacts(),
    "yes_no": YesNo(),
    "counting": Counting(),
    "lists": Lists(),
    "path_finding": PathFinding(),
}
