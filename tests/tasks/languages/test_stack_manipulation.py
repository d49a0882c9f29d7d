"""Stack manipulation."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch

from seqbench.tasks.languages.stack_manipulation import StackManipulation
from tests.tasks.languages.answers import drawn, entropy, rows


def left(text):
    """Return what a stack holds in the end, from its top, and the end."""
    stack = []
    for symbol in text:
        if symbol == "-":
            stack = stack[:-1]
        else:
            stack.append(symbol[-1])
    return [*reversed(stack), "|"]


@pytest.mark.parametrize("length", [1, 2, 23])
def test_answers_are_what_is_left_on_the_stack(length):
    task = StackManipulation(length=length)
    for text, answer in rows(task, drawn(task, length)):
        assert len(text) == length and answer == left(text)
        operations = next((i for i, symbol in enumerate(text) if symbol not in "01"), length)
        assert 1 <= operations <= max(length - 1, 1)
        assert not {*text[operations:]} & {"0", "1"}


def test_training_mixes_lengths_and_pops_of_nothing_do_nothing():
    task = StackManipulation(length=9)
    batch = task.sample_training(torch.Generator().manual_seed(0), 2000)
    found = [*rows(task, batch)]
    assert all(answer == left(text) for text, answer in found)
    assert {len(text) for text, _ in found} == set(range(1, 10))
    assert (["1", "-", "-", "-"], ["|"]) in found


def test_the_docstrings_example():
    task = StackManipulation(length=5)
    found = [*rows(task, drawn(task, 5, 20_000))]
    assert (["0", "1", "1", "-", "+0"], ["0", "1", "0", "|"]) in found


def test_all_sizes_of_the_stack_at_first_are_equally_likely():
    task = StackManipulation(length=6)
    sizes = Counter(sum(s in "01" for s in text) for text, _ in rows(task, drawn(task, 6, 5000)))
    assert set(sizes) == {1, 2, 3, 4, 5} and all(abs(n - 1000) < 150 for n in sizes.values())


@pytest.mark.parametrize("length", [1, 2, 5])
def test_baseline_and_chance_are_those_of_all_strings(length):
    def every():
        for size in range(1, max(length, 2)):
            kinds = ["01"] * size + [["-", "+0", "+1"]] * (length - size)
            for text in itertools.product(*kinds):
                yield left(text), 2.0**-size * 3.0 ** (size - length)

    loss, accuracy = entropy(every())
    task = StackManipulation()
    assert task.baseline_loss(length) == pytest.approx(loss)
    assert task.chance(length) == {"accuracy": pytest.approx(accuracy)}
