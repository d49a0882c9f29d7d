"""Square root."""

from __future__ import annotations

import pytest
import torch

from seqbench.tasks.languages.compute_sqrt import ComputeSqrt
from tests.tasks.languages.answers import drawn, entropy, rows


def holds(text, answer):
    number, root = int("".join(text), 2), int("".join(answer), 2)
    return number > 0 and root**2 <= number < (root + 1) ** 2 and len(answer) == (len(text) + 1) // 2


@pytest.mark.parametrize("length", [1, 2, 9, 100, 301])
def test_answers_are_the_roots(length):
    task = ComputeSqrt(length=length)
    assert all(holds(*row) and len(row[0]) == length for row in rows(task, drawn(task, length, 100)))


def test_training_mixes_lengths_in_one_batch():
    task = ComputeSqrt(length=11)
    found = [*rows(task, task.sample_training(torch.Generator().manual_seed(0), 500))]
    assert {len(text) for text, _ in found} == set(range(1, 12)) and all(holds(*row) for row in found)


def test_the_docstrings_example():
    task = ComputeSqrt(length=6)
    assert ([*"100101"], [*"110"]) in [*rows(task, drawn(task, 6, 2000))]


@pytest.mark.parametrize("length", [1, 2, 3, 6, 7, 10])
def test_baseline_and_chance_are_those_of_all_numbers(length):
    size, roots = (length + 1) // 2, []
    for root in range(1, 2**size):
        below = range(root**2, min((root + 1) ** 2, 2**length))
        roots += [([*f"{root:0{size}b}"], 1.0)] * len(below)
    assert len(roots) == 2**length - 1
    loss, accuracy = entropy(roots)
    task = ComputeSqrt()
    assert task.baseline_loss(length) == pytest.approx(loss)
    assert task.chance(length) == {"accuracy": pytest.approx(accuracy)}
