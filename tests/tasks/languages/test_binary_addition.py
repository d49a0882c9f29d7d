"""Binary addition and multiplication."""

from __future__ import annotations

import operator
from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.languages.binary_addition import BinaryAddition
from seqbench.tasks.languages.binary_multiplication import BinaryMultiplication
from tests.tasks.languages.answers import drawn, entropy, rows

KINDS = {BinaryAddition: ("+", operator.add), BinaryMultiplication: ("×", operator.mul)}
both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def number(bits):
    """Return the number whose bits these are, the least first."""
    return sum(2**i for i, bit in enumerate(bits) if bit == "1")


def holds(kind, text, answer):
    """Return whether an answer is the result and its end, without zeros that say nothing."""
    sign, compute = KINDS[kind]
    place = text.index(sign)
    first, second = number(text[:place]), number(text[place + 1 :])
    result = answer[:-1]
    good = first > 0 and second > 0 and number(result) == compute(first, second)
    return good and result[-1] == "1" and answer[-1] == "|"


@both
@pytest.mark.parametrize("length", [3, 4, 30, 200])
def test_answers_are_the_results(kind, length):
    task = kind(length=length)
    for text, answer in rows(task, drawn(task, length, 200)):
        assert len(text) == length and holds(kind, text, answer)


@both
def test_training_mixes_lengths_in_one_batch(kind):
    task = kind(length=12)
    found = [*rows(task, task.sample_training(torch.Generator().manual_seed(0), 500))]
    assert {len(text) for text, _ in found} == set(range(3, 13))
    assert all(holds(kind, text, answer) for text, answer in found)


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [(BinaryAddition, "001+011", "0101|"), (BinaryMultiplication, "001×011", "00011|")],
)
def test_the_docstrings_examples(kind, text, answer):
    task = kind(length=7)
    assert ([*text], [*answer]) in [*rows(task, drawn(task, 7, 5000))]


@both
def test_the_numbers_have_all_sizes_equally_often(kind):
    task = kind(length=7)
    sizes = Counter(text.index(KINDS[kind][0]) for text, _ in rows(task, drawn(task, 7, 5000)))
    assert set(sizes) == {1, 2, 3, 4, 5} and all(abs(n - 1000) < 150 for n in sizes.values())


def every(kind, length):
    """Yield the answers to all strings of a length, with their chances."""
    for a in range(1, length - 1):
        pairs = [(x, y) for x in range(1, 2**a) for y in range(1, 2 ** (length - 1 - a))]
        for x, y in pairs:
            yield [*f"{KINDS[kind][1](x, y):b}"[::-1], "|"], 1 / len(pairs)


@pytest.mark.parametrize("length", [3, 4, 5, 8, 11])
def test_baseline_and_chance_of_sums_are_those_of_all_strings(length):
    loss, accuracy = entropy(every(BinaryAddition, length))
    task = BinaryAddition()
    assert task.baseline_loss(length) == pytest.approx(loss)
    assert task.chance(length) == {"accuracy": pytest.approx(accuracy)}


def test_baseline_and_chance_of_products_are_measured():
    loss, accuracy = entropy(every(BinaryMultiplication, 8))
    task = BinaryMultiplication()
    assert task.baseline_loss(8) == pytest.approx(loss, abs=4e-3)
    assert task.chance(8) == {"accuracy": pytest.approx(accuracy, abs=4e-3)}


@both
def test_a_string_without_two_numbers_is_refused(kind):
    with pytest.raises(ConfigError, match=r"task.length=2 is too short .* at least 3"):
        kind(length=2)
