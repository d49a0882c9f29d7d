"""Needle in a haystack."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.needle import Needle


def draw(length, rows=300, **settings):
    task = Needle(length=length, **settings)
    return task, task.sample(torch.Generator().manual_seed(0), rows, length)


def read(names):
    """Return the facts of a sequence in words, with their places, and the key that is asked for."""
    told = {names[i + 1]: (i, names[i + 2]) for i, name in enumerate(names) if name == "!"}
    assert names[-2] == "?"
    return told, names[-1]


@pytest.mark.parametrize(
    ("length", "facts", "keys", "values"), [(64, 4, 16, 16), (1, 1, 1, 2), (10, 3, 3, 5)]
)
def test_the_answer_is_in_the_fact_of_the_key(length, facts, keys, values):
    task, batch = draw(length, facts=facts, keys=keys, values=values)
    assert batch.inputs.shape == (300, task.steps) == (300, length + 3 * facts + 2)
    names, answers = task.token_names()
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        told, asked = read([names[token] for token in given])
        assert len(told) == facts and given.count(names.index("?")) == 1
        assert told[asked][1] == answers[target]


def test_the_docstrings_example():
    task = Needle(length=5, facts=2, keys=3, values=4)
    words = ["k2", "v0", "!", "k1", "v3", "v3", "k0", "!", "k2", "v1", "v2", "?", "k1"]
    assert len(words) == task.steps and {*words} <= {*task.token_names()[0]}
    told, asked = read(words)
    assert told[asked] == (2, "v3") and set(told) == {"k1", "k2"}


def test_facts_are_anywhere_and_any_is_asked_for():
    task, batch = draw(2, rows=20_000, facts=2, keys=4, values=3)
    names = task.token_names()[0]
    found = [read([names[token] for token in given]) for given in batch.inputs.tolist()]
    places = Counter(tuple(place for place, _ in told.values()) for told, _ in found)
    assert len(places) == 6 and all(abs(n - 20_000 / 6) < 270 for n in places.values())  # 5 deviations
    first = sum(told[asked][0] == min(place for place, _ in told.values()) for told, asked in found)
    assert abs(first - 10_000) < 360
    last = task.steps - 1
    distances = [last - (told[asked][0] + 2) for told, asked in found]
    assert (min(distances), max(distances)) == task.span.dependency(2)


def test_distractors_are_of_all_keys_and_values():
    _, batch = draw(200, rows=100, facts=1, keys=3, values=2)
    counts = Counter(batch.inputs.flatten().tolist())
    ordinary = [counts[token] for token in range(5)]
    assert max(ordinary) < 1.1 * min(ordinary) and counts[5] == counts[6] == 100


def test_bad_values_are_refused():
    for bad, message in [
        ({"facts": 0}, "task.facts=0 leaves nothing to ask for"),
        ({"facts": 5, "keys": 4}, "task.keys=4 has too few keys for task.facts=5; give at least 5"),
        ({"values": 1}, "task.values=1 leaves nothing to tell apart"),
    ]:
        with pytest.raises(ConfigError, match=message):
            Needle(**bad)
