"""Data of one's own: a file of words, each with its language."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from seqbench.data.splits import hash_fraction
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fixed import LazyTask

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LANGUAGES = ("english", "german")


class Words(LazyTask):
    """Say whether a word is English or German.

        input  s c h i l d      class 1, german

    A word is held out for testing or validation, a fifth each, by its own hash.

    Args:
        data_dir: the folder of `words.csv`, with a word and its language on each line.
    """

    title, contents, variant = "the words", "words of up to {} letters", "letters"
    solved_when = "90 % right"
    inputs = Tokens(len(LETTERS))
    targets = Classes(len(LANGUAGES), per_step=False)

    def __init__(self, data_dir: str = "data") -> None:
        self.data_dir = data_dir

    @cached_property
    def rows(self) -> list[list[str]]:
        return list(csv.reader(Path(self.data_dir, "words.csv").open(encoding="utf-8")))

    def longest(self) -> int:
        return max(len(word) for word, _ in self.rows)

    def read_split(self, split: str) -> Batch:
        rows = [(word, language) for word, language in self.rows if split_of(word) == split]
        words = [torch.tensor([LETTERS.index(letter) for letter in word]) for word, _ in rows]
        classes = torch.tensor([LANGUAGES.index(language) for _, language in rows])
        lengths = torch.tensor([len(word) for word in words])
        return Batch(pad_sequence(words, batch_first=True), classes, lengths=lengths)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.9


def split_of(word: str) -> str:
    """Return `train`, `validation` or `test`: it depends on the word alone."""
    fraction = hash_fraction("split", word)
    return "test" if fraction < 0.2 else "validation" if fraction < 0.4 else "train"
