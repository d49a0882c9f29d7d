"""Tasks that write a string: reversed, twice, odds first, sorted."""

from __future__ import annotations

import itertools

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.languages.bucket_sort import BucketSort
from seqbench.tasks.languages.duplicate_string import DuplicateString
from seqbench.tasks.languages.odds_first import OddsFirst
from seqbench.tasks.languages.reverse_string import ReverseString
from tests.tasks.languages.answers import drawn, entropy, rows

WRITES = {
    ReverseString: lambda text: text[::-1],
    DuplicateString: lambda text: text + text,
    OddsFirst: lambda text: text[1::2] + text[::2],
    BucketSort: sorted,
}
every_task = pytest.mark.parametrize(("kind", "write"), WRITES.items(), ids=lambda kind: kind.__name__)


@every_task
@pytest.mark.parametrize("length", [1, 2, 17])
def test_answers_are_what_is_to_be_written(kind, write, length):
    task = kind(length=length)
    batch = drawn(task, length)
    assert batch.lengths is None and batch.inputs.shape == (300, task.steps)
    for text, answer in rows(task, batch):
        assert len(text) == length and answer == write(text)


@every_task
def test_training_mixes_lengths_in_one_batch(kind, write):
    task = kind(length=7)
    batch = task.sample_training(torch.Generator().manual_seed(0), 500)
    found = [*rows(task, batch)]
    assert {len(text) for text, _ in found} == set(range(1, 8))
    assert all(answer == write(text) for text, answer in found)


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        (ReverseString, "110", "011"),
        (DuplicateString, "101", "101101"),
        (OddsFirst, "11010", "11100"),
        (BucketSort, "4020", "0024"),
    ],
)
def test_the_docstrings_examples(kind, text, answer):
    task = kind(length=len(text))
    assert [*answer] in [said for read, said in rows(task, drawn(task, len(text), 5000)) if read == [*text]]


@every_task
@pytest.mark.parametrize("length", [1, 4])
def test_baseline_and_chance_are_those_of_all_strings(kind, write, length):
    task = kind(length=length)
    every = itertools.product(task.token_names()[1], repeat=length)
    loss, accuracy = entropy((write([*text]), 1.0) for text in every)
    assert task.baseline_loss(length) == pytest.approx(loss)
    assert task.chance(length) == {"accuracy": pytest.approx(accuracy)}


def test_bad_values_are_refused():
    with pytest.raises(ConfigError, match=r"task.alphabet=1 leaves nothing to sort; give at least 2"):
        BucketSort(alphabet=1)
