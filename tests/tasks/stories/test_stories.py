"""Stories: a reader that knows nothing of how they are made finds every answer, from the facts alone too."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from itertools import combinations, islice

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.base import generator
from seqbench.tasks.stories.base import Story, Text
from seqbench.tasks.stories.questions import OBJECTS, PERSONS, PLACES, QUESTION_TYPES
from seqbench.tasks.stories.stories import Stories, split_combinations
from tests.tasks.batches import digest

MOVED = {"went", "moved", "travelled", "journeyed"}
TOOK = {"took", "got", "grabbed", "picked"}
DROPPED = {"dropped", "left", "discarded", "put"}
GAVE = {"gave", "handed", "passed"}
BACK = {"north": "south", "south": "north", "east": "west", "west": "east"}

every_type = pytest.mark.parametrize("name", QUESTION_TYPES)


class Reader:
    """Keeps what sentences say; with `strict`, that what they say can be."""

    def __init__(self, sentences: list[list[str]], strict: bool = False) -> None:
        self.place: dict[str, str] = {}
        self.holder: dict[str, str] = {}
        self.trail: dict[str, list[str]] = {}
        self.ways: dict[str, dict[str, str]] = {}
        for *sentence, period in sentences:
            assert period == "." and "." not in sentence
            if sentence[0] == "the":
                _, there, _, way, _, _, here = sentence
                self.ways.setdefault(here, {})[way[0]] = there
                self.ways.setdefault(there, {})[BACK[way][0]] = here
            else:
                if strict:
                    self.check(sentence)
                self.read(sentence)

    def read(self, sentence: list[str]) -> None:
        who, verb = sentence[:2]
        if verb in MOVED:
            self.place[who] = sentence[-1]
            things = [thing for thing, holder in self.holder.items() if holder == who]
        else:
            things = [sentence[sentence.index("the") + 1]]
            if verb in DROPPED:
                del self.holder[things[0]]
            else:
                assert verb in TOOK | GAVE
                self.holder[things[0]] = sentence[-1] if verb in GAVE else who
        here = self.place.get(self.holder.get(things[0], who)) if things else None
        for thing in things:
            trail = self.trail.setdefault(thing, [])
            if here is not None and trail[-1:] != [here]:
                trail.append(here)

    def check(self, sentence: list[str]) -> None:
        who, verb = sentence[:2]
        if verb in MOVED:
            assert self.place.get(who) != sentence[-1]
            return
        thing = sentence[sentence.index("the") + 1]
        if verb in TOOK:
            assert thing not in self.holder
            assert thing not in self.trail or self.trail[thing][-1] == self.place[who]
        else:
            assert self.holder[thing] == who
        if verb in GAVE:
            assert sentence[-1] != who and self.place[sentence[-1]] == self.place[who]

    def answer(self, question: list[str]) -> str | None:
        match question:
            case ["where", "is", "the", thing, "?"]:
                return (self.trail.get(thing) or [None])[-1]
            case ["where", "is", who, "?"]:
                return self.place.get(who)
            case ["where", "was", "the", thing, "before", "the", place, "?"]:
                trail = self.trail.get(thing, [])
                last = max((i for i, there in enumerate(trail) if there == place), default=0)
                return trail[last - 1] if last else None
            case ["is", who, "in", "the", place, "?"]:
                return None if who not in self.place else "yes" if self.place[who] == place else "no"
            case ["how", "many", "objects", "is", who, "carrying", "?"]:
                return ["none", "one", "two", "three"][len(self.carried(who))]
            case ["what", "is", who, "carrying", "?"]:
                return ",".join(self.carried(who)) or "nothing"
            case ["how", "do", "you", "go", "from", "the", start, "to", "the", end, "?"]:
                return self.way(start, end)
        raise AssertionError(question)

    def carried(self, who: str) -> list[str]:
        return sorted(thing for thing, holder in self.holder.items() if holder == who)

    def way(self, start: str, end: str) -> str | None:
        """Return the one way of two steps, or of fewer; None where there is none."""
        ways = [([], start)]
        for _ in range(2):
            ways = [([*way, step], to) for way, at in ways for step, to in self.ways.get(at, {}).items()]
            found = [way for way, at in ways if at == end]
            if found:
                (only,) = found
                return ",".join(only)
        return None


def drop_fact(sentences: list[list[str]], drop: int | None = None) -> list[list[str]]:
    return [sentence for i, sentence in enumerate(sentences) if i != drop]


def facts_alone(story: Story, without: int | None = None) -> Reader:
    """Read a story of the facts alone; a drop needs no taking before."""
    reader = Reader([])
    for i in sorted(set(story.facts) - {without}):
        sentence = story.sentences[i][:-1]
        if sentence[1] in DROPPED:
            reader.holder[sentence[sentence.index("the") + 1]] = sentence[0]
        if sentence[0] == "the":
            reader.ways |= {
                place: {**reader.ways.get(place, {}), **ways}
                for place, ways in Reader([story.sentences[i]]).ways.items()
            }
        else:
            reader.read(sentence)
    return reader


def decoded(task: Stories, batch) -> list[Story]:
    """Read a batch back from its tokens."""
    words = {token: word for word, token in task.vocabulary.items()}
    answers = {i: answer for answer, i in task.answers.items()}
    stories = []
    rows = zip(*(part.tolist() for part in (batch.inputs, batch.lengths)), strict=True)
    for row, (tokens, length) in enumerate(rows):
        assert all(tokens[:length]) and not any(tokens[length:])
        text, sentences = [words[token] for token in tokens[:length]], []
        while "." in text:
            end = text.index(".") + 1
            sentences.append(text[:end])
            text = text[end:]
        facts = [fact for fact in batch.extras["facts"][row].tolist() if fact >= 0]
        assert batch.extras["facts"][row].tolist()[: len(facts)] == facts
        answer = answers[batch.targets[row].item()]
        stories.append(Story(sentences, text, answer, facts, batch.extras["types"][row].item()))
    return stories


@cache
def drawn(name: str, longest: int, exact: bool, number: int = 300) -> list[Story]:
    task = Stories(length=longest, types=[name])
    return task.stories(torch.Generator().manual_seed(longest), number, "train", longest, exact)


def combination(name: str, story: Story) -> tuple:
    """Return what a question is about, with its answer and the names that this comes by."""
    facts = [story.sentences[i] for i in story.facts]
    if name == "path_finding":
        names = [{word for word in fact if word in PLACES} for fact in facts]
        return (*story.question, *(names[0] & names[1]), story.answer)
    if name in ("two_facts", "three_facts"):
        return (*story.question, next(fact[0] for fact in facts if fact[1] in MOVED), story.answer)
    (person,) = (word for word in story.question if word in PERSONS)
    companion = next(sentence[0] for sentence in story.sentences if sentence[0] != person)
    if name in ("counting", "lists"):
        return (person, companion, *sorted(word for fact in facts for word in fact if word in OBJECTS))
    return (*story.question, companion, facts[0][-2])


@every_type
@pytest.mark.parametrize(("longest", "exact", "number"), [(5, False, 300), (10, False, 300), (40, True, 60)])
def test_answers_follow_from_the_story_and_from_its_facts(name, longest, exact, number):
    for story in drawn(name, longest, exact, number):
        assert len(story.sentences) == longest if exact else len(story.sentences) <= longest
        assert Reader(story.sentences, strict=True).answer(story.question) == story.answer
        assert facts_alone(story).answer(story.question) == story.answer
        assert len(set(story.facts)) == len(story.facts) <= QUESTION_TYPES[name].facts
        for fact in story.facts:
            assert facts_alone(story, without=fact).answer(story.question) != story.answer


@pytest.mark.parametrize("name", ["one_fact", "path_finding"])
def test_nothing_else_in_the_story_gives_the_answer(name):
    for story in drawn(name, 10, False):
        for fact in story.facts:
            assert Reader(drop_fact(story.sentences, fact)).answer(story.question) != story.answer


def test_facts_come_in_the_order_of_reasoning():
    for story in drawn("two_facts", 10, False):
        thing, (handled, moved) = story.question[3], (story.sentences[i] for i in story.facts)
        assert thing in handled and moved[1] in MOVED and moved[-2] == story.answer
    for story in drawn("three_facts", 10, False):
        thing, there = story.question[3], story.question[6]
        handled, moved, came = (story.sentences[i] for i in story.facts)
        assert thing in handled and moved[-2] == there and came[-2] == story.answer
        assert moved[0] == came[0] and story.facts[2] < story.facts[1]
    for story in drawn("path_finding", 10, False):
        first, second = (story.sentences[i] for i in story.facts)
        assert story.question[6] in first and story.question[9] in second
    for name in ("counting", "lists"):
        assert all(story.facts == sorted(story.facts) for story in drawn(name, 10, False))


@every_type
def test_stories_are_not_all_of_a_kind(name):
    """All that can happen does, with every number of sentences, and facts at any place of the story."""
    stories = drawn(name, 10, False, 500)
    assert {len(story.sentences) for story in stories} == set(range(QUESTION_TYPES[name].least, 11))
    verbs = {sentence[1] for story in stories for sentence in story.sentences if sentence[0] != "the"}
    assert verbs == (MOVED if name in ("one_fact", "path_finding") else MOVED | TOOK | DROPPED | GAVE)
    # What is carried is not got, and what is named last is not where one comes from, before anybody moved.
    first = 1 if name in ("counting", "lists") else 0
    assert {fact for story in stories for fact in story.facts} == set(range(first, 10))
    given = [story for story in stories if any(story.sentences[i][1] in GAVE for i in story.facts)]
    dropped = [story for story in stories if any(story.sentences[i][1] in DROPPED for i in story.facts)]
    assert (len(given) > 5) is (name in ("two_facts", "three_facts", "counting", "lists"))
    assert (len(dropped) > 5) is (name == "two_facts")


def test_losses_do_not_count():
    """Whoever has none may have had some; and what was taken is not what is carried."""
    for name in ("counting", "lists"):
        stories = drawn(name, 10, True)
        nothing = [story for story in stories if story.answer in ("none", "nothing")]
        taken = [
            any(sentence[0] == story.question[-3] and sentence[1] in TOOK for sentence in story.sentences)
            for story in nothing
        ]
        assert any(taken) and not all(taken) and not any(story.facts for story in nothing)


def test_a_no_is_not_told_by_a_place_that_nobody_was_at():
    for story in drawn("yes_no", 10, False):
        places = {sentence[-2] for sentence in story.sentences if sentence[1] in MOVED}
        assert story.question[-2] in places or len(places) == 1


def test_combinations_are_those_there_are_and_split_by_shares():
    sets = 1 + 5 + 10 + 10
    expected = {
        "one_fact": (10 * 9 * 8, 8),
        "two_facts": (5 * 10 * 8, 8),
        "three_facts": (5 * 10 * 8 * 7, 8),
        "yes_no": (10 * 9 * 8 * 8, 2),
        "counting": (10 * 9 * sets, 4),
        "lists": (10 * 9 * sets, sets),
        "path_finding": (12 * 8 * 7 * 6, 12),
    }
    for name, (number, answers) in expected.items():
        splits = {
            split: {combination for found in by_answer.values() for combination in found}
            for split, by_answer in split_combinations(name).items()
        }
        assert len(set().union(*splits.values())) == sum(map(len, splits.values())) == number
        for split, share in [("train", 0.7), ("validation", 0.1), ("test", 0.2)]:
            assert len(splits[split]) / number == pytest.approx(share, abs=0.07)
            assert len(split_combinations(name)[split]) == answers


@every_type
def test_splits_have_the_same_questions_with_the_same_answers(name):
    """So that a question that is kept from training does not tell there what its answer is not."""
    shares = []
    for by_answer in split_combinations(name).values():
        asked = {
            answer: Counter(" ".join(QUESTION_TYPES[name].ask(combination)) for combination in found)
            for answer, found in by_answer.items()
        }
        shares.append(
            {
                (answer, question): number / counts.total()
                for answer, counts in asked.items()
                for question, number in counts.items()
            }
        )
    for other in shares[1:]:
        assert other == pytest.approx(shares[0])


def test_no_question_of_one_split_is_asked_in_another():
    task = Stories(eval_lengths=[10, 20], eval_size=350)
    train = [story for batch in islice(task.train_batches(0, 64), 16) for story in decoded(task, batch)]
    splits = [train, *(decoded(task, batch) for batch in (task.validation(), task.test(10), task.test(20)))]
    for i, name in enumerate(task.types):
        asked = [{combination(name, s) for s in stories if s.type == i} for stories in splits]
        assert all(len(found) >= 6 for found in asked)
        train, validation, *tests = asked
        assert not train & validation and not (train | validation) & (tests[0] | tests[1])


@pytest.mark.parametrize("types", [None, *([name] for name in QUESTION_TYPES)])
def test_all_words_and_answers_occur_in_training(types):
    task = Stories(types=types)
    batch = task.sample_training(torch.Generator().manual_seed(0), 600 if types else 2000)
    assert set(batch.inputs.flatten().tolist()) == set(range(task.inputs.size))
    assert set(batch.targets.tolist()) == set(range(task.targets.size))


def test_types_are_equally_many_in_every_batch():
    task = Stories(eval_size=100)
    for batch in [*islice(task.train_batches(0, 32), 5), task.validation(), task.test(10)]:
        counts = batch.extras["types"].bincount(minlength=7)
        assert counts.max() - counts.min() <= 1
    first = {task.stories(generator("train", seed), 1, "train", 5)[0].type for seed in range(40)}
    assert first == set(range(7))


@pytest.mark.parametrize("types", [None, ["one_fact"], ["path_finding", "yes_no"]])
def test_specs_are_of_the_longest_there_is(types):
    task = Stories(length=9, eval_lengths=[12], eval_size=50, types=types)
    assert isinstance(task.inputs, Text) and task.inputs.sentences == 12
    assert task.inputs.period == task.vocabulary["."] and len(task.vocabulary) == task.inputs.size
    batches = [next(task.train_batches(0, 50)), task.validation(), task.test(12)]
    for batch, words in zip(batches, [task.steps, task.steps, task.words(12)], strict=True):
        assert batch.inputs.shape == (50, words) and batch.extras["facts"].shape == (50, task.inputs.facts)
        for story in decoded(task, batch):
            assert max(map(len, [*story.sentences, story.question])) <= task.inputs.words
    assert task.inputs.facts == (1 if types == ["one_fact"] else 2 if types else 3)
    # 8 sentences of 6 words and one of 4; in the others, of which seven may lay a place, the longest is 85.
    assert task.steps == {1: 9 * 6 + 4, 2: 7 * 8 + 2 * 6 + 11, 7: 7 * 8 + 2 * 6 + 11}[len(task.types)]


def test_batches_are_the_same_on_any_machine():
    assert digest([next(Stories().train_batches(0, 32))]) == "b46379152d370d31"


def test_baseline_is_the_entropy_of_the_answers():
    log = math.log
    assert Stories(types=["yes_no"]).baseline_loss(10) == pytest.approx(log(2))
    assert Stories(types=["lists"]).baseline_loss(10) == pytest.approx(log(26))
    assert Stories(types=["one_fact", "two_facts"]).baseline_loss(10) == pytest.approx(log(8))
    two = Stories(types=["one_fact", "counting"])
    assert two.baseline_loss(10) == two.baseline_loss(40) == pytest.approx(log(2) + (log(8) + log(4)) / 2)
    chances = 8 * [3 / 7 / 8] + [1 / 7 / n for n in (2, 4, 26, 12) for _ in range(n)]
    assert sum(chances) == pytest.approx(1)
    expected = -sum(p * log(p) for p in chances)
    assert Stories().baseline_loss(10) == pytest.approx(expected) == pytest.approx(3.4838, abs=1e-4)


LEFT = [
    "mary moved to the kitchen .",
    "john went to the kitchen .",
    "mary took the apple .",
    "mary gave the apple to john .",
    "john got the milk .",
    "john journeyed to the garden .",
]
MAP = ["the garden is north of the attic .", "the attic is west of the kitchen ."]
ASKED = [
    ("one_fact", "where is john ?", "garden", [5]),
    ("two_facts", "where is the apple ?", "garden", [3, 5]),
    ("three_facts", "where was the apple before the garden ?", "kitchen", [3, 5, 1]),
    ("yes_no", "is mary in the garden ?", "no", [0]),
    ("counting", "how many objects is john carrying ?", "two", [3, 4]),
    ("lists", "what is john carrying ?", "apple,milk", [3, 4]),
    ("path_finding", "how do you go from the kitchen to the garden ?", "w,n", [1, 0]),
]


def test_the_docstrings_example():
    drawn = " ".join(Stories.__doc__.split())
    assert all(f"{i} {sentence}" in drawn for lines in (LEFT, MAP) for i, sentence in enumerate(lines))
    for name, question, answer, facts in ASKED:
        story = MAP if name == "path_finding" else LEFT
        assert name in drawn and f"{answer} {' '.join(map(str, facts))}" in drawn
        parsed = Story([line.split() for line in story], question.split(), answer, facts, 0)
        assert Reader(parsed.sentences, strict=True).answer(parsed.question) == answer
        assert facts_alone(parsed).answer(parsed.question) == answer
        assert parsed.question[0] == QUESTION_TYPES[name].question.split()[0]


def test_the_reader_finds_nothing_where_nothing_is_said():
    questions = [question.split() for _, question, *_ in ASKED]
    assert [Reader([]).answer(question) for question in questions] == [
        *(None, None, None, None, "none", "nothing", None)
    ]


def test_names_are_of_one_word_and_none_is_two_things():
    names = [*PERSONS, *PLACES, *OBJECTS]
    assert len(set(names)) == len(names) and all(name.isalpha() for name in names)
    assert not any(set(a) & set(b) for a, b in combinations((MOVED, TOOK, DROPPED, GAVE, {*names}), 2))


def test_bad_values_are_refused():
    Stories(length=2, types=["one_fact"])
    for bad, message in [
        ({"length": 4}, r"task.length=4 is too short .* at least 5"),
        ({"length": 2, "types": ["three_facts"]}, r"at least 3"),
        (
            {"types": ["one_facts"]},
            r"'one_facts', which is not a type; there are .*path_finding.*mean 'one_fact'",
        ),
        ({"types": []}, r"task.types is empty"),
        ({"types": ["lists", "lists"]}, r"has a type twice"),
    ]:
        with pytest.raises(ConfigError, match=message):
            Stories(**bad)
