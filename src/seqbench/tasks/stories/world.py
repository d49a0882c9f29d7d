"""The world of the stories: people who move about and hand objects around."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple, TypeVar

PERSONS = ("anna", "bill", "daniel", "fred", "jeff", "john", "julie", "mary", "sandra", "sumit")
PLACES = ("attic", "bathroom", "bedroom", "cellar", "garden", "hallway", "kitchen", "office")
OBJECTS = ("apple", "book", "football", "key", "milk")
DIRECTIONS = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "west": (-1, 0)}

#: The verbs of each act, and the phrases for the position of a place.
VERBS: dict[str, tuple[tuple[str, ...], ...]] = {
    "move": (("went", "to"), ("moved", "to"), ("travelled", "to"), ("journeyed", "to")),
    "take": (("took",), ("got",), ("grabbed",), ("picked", "up")),
    "drop": (("dropped",), ("left",), ("discarded",), ("put", "down")),
    "give": (("gave",), ("handed",), ("passed",)),
    **{name: (("is", name, "of"),) for name in DIRECTIONS},
}
HANDLING = ("move", "take", "drop", "give")

#: The number of places that the people of one story visit; few, so that they meet.
VISITED = 4

#: Two people whom every story has; a question about the hero can always be asked.
HERO, OTHER = 0, 1

T = TypeVar("T")


class Event(NamedTuple):
    """The content of a sentence, in numbers.

    act: a key of `VERBS`.
    who: the person who acts; for a direction, the place that lies in it.
    what: the place or the object; for a direction, the place that it is seen from.
    to: the person to whom the object is given.
    """

    act: str
    who: int
    what: int
    to: int = -1


def opposite(way: str) -> str:
    """Return the opposite direction."""
    names = tuple(DIRECTIONS)
    return names[(names.index(way) + 2) % 4]


class World:
    """People who move about and handle objects. Events are recorded and put into sentences at the end.

    Everybody moves before doing anything else, so that their place is known. An object that nobody has
    touched yet may lie anywhere: anybody may find it.

    Args:
        random: the random numbers that decide the events.
        objects: the number of objects.
        reserved: the number of objects that only the hero may find, until the hero has taken as many.
    """

    def __init__(self, random: Random, objects: int = 0, reserved: int = 0) -> None:
        self.random = random
        self.people = 2 + self.pick(3)
        self.events: list[Event] = []
        #: The places of people and of dropped objects, and the objects that each person holds.
        self.place: dict[int, int] = {}
        self.lying: dict[int, int] = {}
        self.held: list[list[int]] = [[] for _ in range(self.people)]
        self.unseen = list(range(objects))
        self.reserved = reserved
        #: Whether the hero may handle objects only by the plan.
        self.guarded = False
        #: The number of the last move that brought an object to a place.
        self.brought: dict[tuple[int, int], int] = {}

    def pick(self, number: int) -> int:
        """Draw one of the numbers below `number`."""
        return int(self.random.random() * number)

    def choose(self, among: Sequence[T]) -> T:
        """Draw one of the options."""
        return among[self.pick(len(among))]

    def go_on(self, sentences: int, plan: Sequence[Callable[[], None]] = (), guarded: bool = False) -> None:
        """Let one event happen for each of `sentences` sentences.

        Args:
            sentences: the number of sentences.
            plan: events that must happen in this order, at random times.
            guarded: whether the hero handles objects only by the plan, even after its end.
        """
        rest = list(reversed(plan))
        for left in range(sentences, 0, -1):
            self.guarded = guarded or bool(rest)
            if self.random.random() * left < len(rest):
                rest.pop()()
            else:
                self.act(self.pick(self.people))

    def act(self, who: int) -> None:
        """Let a person do anything that is possible."""
        if who not in self.place or self.random.random() < 0.4 or (self.guarded and who == HERO):
            self.move(who)
            return
        found = self.found(who) + (self.unseen if len(self.unseen) > self.reserved else [])
        if found and (not self.held[who] or self.random.random() < 0.5):
            self.take(who, self.choose(found))
        elif self.held[who]:
            self.lose(who)
        else:
            self.move(who)

    def move(self, who: int) -> None:
        """Let a person go to another place."""
        here = self.place.get(who)
        place = self.pick(VISITED - (here is not None))
        if here is not None:
            place += place >= here
            for what in self.held[who]:
                self.brought[what, place] = len(self.events)
        self.place[who] = place
        self.events.append(Event("move", who, place))

    def found(self, who: int) -> list[int]:
        """Return the objects that lie at a person's place."""
        return [what for what, place in self.lying.items() if place == self.place[who]]

    def near(self, who: int) -> list[int]:
        """Return the others at a person's place."""
        here = self.place[who]
        return [other for other, place in self.place.items() if place == here and other != who]

    def take(self, who: int, what: int) -> None:
        """Let a person take an object."""
        if self.lying.pop(what, None) is None:
            self.unseen.remove(what)
        self.held[who].append(what)
        self.events.append(Event("take", who, what))

    def lose(self, who: int) -> None:
        """Let a person drop an object or give it away."""
        what = self.choose(self.held[who])
        near = [other for other in self.near(who) if other != HERO or not self.guarded]
        if near and self.random.random() < 0.5:
            self.give(who, what, self.choose(near))
        else:
            self.held[who].remove(what)
            self.lying[what] = self.place[who]
            self.events.append(Event("drop", who, what))

    def give(self, who: int, what: int, to: int) -> None:
        """Let a person give an object to another."""
        self.held[who].remove(what)
        self.held[to].append(what)
        self.events.append(Event("give", who, what, to))

    def acquire(self) -> None:
        """Let the hero take an object or receive one."""
        self.reserved -= 1
        givers = [other for other in self.near(HERO) if self.held[other]]
        if givers and self.random.random() < 0.5:
            giver = self.choose(givers)
            self.give(giver, self.choose(self.held[giver]), HERO)
        else:
            self.take(HERO, self.choose(self.found(HERO) + self.unseen))

    def companion(self, who: int) -> int:
        """Return the first other person to act."""
        return next(event.who for event in self.events if event.who != who)

    def last_move(self, who: int, before: int | None = None) -> int:
        """Return the number of a person's last move, or of the last one before sentence `before`."""
        return self._last(before, lambda event: event.act == "move" and event.who == who)

    def last_handled(self, what: int, before: int | None = None) -> int:
        """Return the number of the last event with an object, or of the last one before sentence `before`."""
        return self._last(before, lambda event: event.act in ("take", "drop", "give") and event.what == what)

    def _last(self, before: int | None, wanted: Callable[[Event], bool]) -> int:
        numbers = range(len(self.events) if before is None else before)
        return next(i for i in reversed(numbers) if wanted(self.events[i]))

    def sentences(
        self,
        persons: Mapping[int, str] | None = None,
        places: Mapping[int, str] | None = None,
        objects: Mapping[int, str] | None = None,
    ) -> list[list[str]]:
        """Return the events as sentences; people, places and objects without a name get an unused one."""
        people = self._named(PERSONS, persons or {}, self.people)
        rooms = self._named(PLACES, places or {}, len(PLACES))
        things = self._named(OBJECTS, objects or {}, len(OBJECTS))
        written = []
        for act, who, what, to in self.events:
            verb = self.choose(VERBS[act])
            if act == "move":
                sentence = [people[who], *verb, "the", rooms[what], "."]
            elif act in DIRECTIONS:
                sentence = ["the", rooms[who], *verb, "the", rooms[what], "."]
            elif act == "give":
                sentence = [people[who], *verb, "the", things[what], "to", people[to], "."]
            else:
                sentence = [people[who], *verb, "the", things[what], "."]
            written.append(sentence)
        return written

    def _named(self, names: Sequence[str], given: Mapping[int, str], number: int) -> list[str]:
        left = [name for name in names if name not in given.values()]
        self.random.shuffle(left)
        return [given[i] if i in given else left.pop() for i in range(number)]
