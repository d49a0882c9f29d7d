"""Graphemes to phonemes: pronounce the English words of CMUdict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqbench.data import load
from seqbench.data.splits import hash_fraction
from seqbench.errors import DataError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric, share
from seqbench.tasks.specs import Tokens
from seqbench.tasks.streams.bucketed import BucketTask
from seqbench.tasks.streams.fixed import LazyTask
from seqbench.tasks.translation.base import Sequences, TwoSequencesTask

LETTERS = "'abcdefghijklmnopqrstuvwxyz"
#: The phonemes of CMUdict, without stress.
PHONEMES = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY"),
    *("JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y"),
    *("Z", "ZH"),
)
TOKENS = {phoneme: token for token, phoneme in enumerate(PHONEMES)}
END = len(PHONEMES)
#: The share of the training words that is held out for validation.
VALIDATION_SHARE = 0.02
#: The share of wrong words at which the task is solved.
SOLVED_AT = 0.2921

#: The pronunciations of each word, in the order of the dictionary.
Lexicon = dict[str, list[list[int]]]


class G2P(TwoSequencesTask, LazyTask, BucketTask):
    """Output the phonemes of a word, and then the end token.

        input        c h u t e s          p a t h s
        target       SH UW T S end        P AE DH Z end       the first pronunciation
        also right                        P AE TH S end

    Stress is ignored. Words with characters other than letters and apostrophes are left out, such as `a.m.`
    and `able-bodied`. In training each pronunciation of a word is an example; an evaluation has each word
    once. Words are split by hash: a tenth is for testing, and 2 % of the others for validation.

    `word_error` is the share of words for which none of the pronunciations was output, and `phoneme_error`
    the edit distance to the nearest pronunciation, as a share of its phonemes.

    The data are read on first use.

    Args:
        dataset: the folder of the data set in `data_dir`: `train.parquet` and `test.parquet`, with the
            columns `word` and `phonemes`.
        data_dir: the folder of the data sets.

    Raises:
        DataError: on first use, if the data are missing or not a dictionary.
    """

    revisions: ClassVar[dict[str, int]] = {}  # its evaluation is not by length, see `parts`
    metric = "word_error"
    solved_when = (
        "at most 29.21 % of the words wrong, the error of an encoder–decoder LSTM on another split of CMUdict"
        " (Yao & Zweig, 2015; from memory: it could not be read in the paper, and may be 28.61 %)"
    )
    contents = "words of up to {} letters"
    variant = "without stress"
    inputs = Tokens(len(LETTERS))
    targets = Sequences(len(PHONEMES) + 1, per_step=True, end=END)

    def __init__(self, dataset: str = "cmudict", data_dir: str | Path = "data") -> None:
        self.dataset = self.title = dataset
        self.data_dir = data_dir

    def longest(self) -> int:
        """Return the letters of the longest word."""
        return max(len(word) for lexicon in self._lexica.values() for word in lexicon)

    def read_split(self, split: str) -> Batch:
        lexicon = self._lexica[split]
        if split != "train":
            return encode(list(lexicon.items()), references=True)
        return encode([(word, [answer]) for word, answers in lexicon.items() for answer in answers])

    def sizes(self, batch: Batch) -> Int[Tensor, "B 2"]:
        """Return the letters of each example, and its phonemes including the end."""
        assert batch.lengths is not None and batch.mask is not None
        return torch.stack([batch.lengths, batch.mask.sum(1)], dim=1)

    def parts(self, batch: Batch, size: int) -> list[Batch]:
        """Return an evaluation set in parts that are not cut: an answer may be as long as any target."""
        return batch.split(size)

    def cut(self, batch: Batch, *size: int) -> Batch:
        letters, phonemes = size
        assert batch.mask is not None
        return batch._replace(
            inputs=batch.inputs[:, :letters],
            targets=batch.targets[:, :phonemes],
            mask=batch.mask[:, :phonemes],
        )

    def baseline_loss(self, length: int) -> float:
        """Return the cross-entropy of the test set's targets under the training set's frequencies, in nats.

        Each step has its own frequencies. Every phoneme counts once more at a step than it occurs there, so
        that none is impossible.
        """
        counts, test = self._counts(length)
        costs = counts.sum(1, keepdim=True).log() - counts.log()
        return float(costs.flatten()[test].double().mean())

    def chance(self, length: int) -> dict[str, float]:
        """Return `accuracy` and `word_error` of the most frequent phoneme at each step, and answer."""
        counts, test = self._counts(length)
        size = self.targets.size
        answers = Counter(tuple(answer) for each in self._lexica["train"].values() for answer in each)
        ((most_frequent, _),) = answers.most_common(1)
        wrong = [[*most_frequent] not in each for each in self._lexica["test"].values()]
        right = counts.argmax(1)[test // size] == test % size
        return {"accuracy": right.double().mean().item(), "word_error": sum(wrong) / len(wrong)}

    def _counts(self, length: int) -> tuple[Float[Tensor, "T P"], Int[Tensor, " N"]]:
        """Return how often each phoneme is a step's target in training, plus 1, and the targets of the test.

        A target is its step times P plus its phoneme.
        """
        train, test = self.train, self.test(length)
        assert train.mask is not None and test.mask is not None
        size = self.targets.size
        steps = max(train.targets.shape[1], test.targets.shape[1])

        def places(batch: Batch) -> Tensor:
            return (torch.arange(batch.targets.shape[1]) * size + batch.targets)[batch.mask]

        counts = places(train).bincount(minlength=steps * size).view(steps, size) + 1.0
        return counts, places(test)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        kept = (metric for metric in self.targets.metrics if metric.name in ("loss", "accuracy"))
        return *kept, share("word_error", "min"), Metric("phoneme_error", "min", "share", 0.0)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        exact, weights = measures.pop("exact")
        return measures | {"word_error": (1 - exact, weights), "phoneme_error": measures.pop("error")}

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return LETTERS, (*PHONEMES, "end")

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["word_error"] <= SOLVED_AT

    @cached_property
    def _lexica(self) -> dict[str, Lexicon]:
        lexica: dict[str, Lexicon] = {"train": {}, "validation": {}, "test": self._read("test")}
        for word, answers in self._read("train").items():
            if word in lexica["test"]:
                raise DataError(
                    f"The word {word!r} of the data set {self.dataset} is in its train and in its test set;"
                    " remove it from one."
                )
            split = "validation" if hash_fraction("validation", word) < VALIDATION_SHARE else "train"
            lexica[split][word] = answers
        for split, lexicon in lexica.items():
            if not lexicon:
                raise DataError(
                    f"The data set {self.dataset} has too few words of only letters and apostrophes: its"
                    f" {split} set is empty."
                )
        return lexica

    def _read(self, split: str) -> Lexicon:
        table = load(self.dataset, None, split, self.data_dir)
        for name in ("word", "phonemes"):
            if getattr(table.features.get(name), "dtype", None) not in ("string", "large_string"):
                raise DataError(
                    f"The {split} set of {self.dataset} has no text in a column `{name}`; it needs `word` and"
                    " `phonemes`."
                )
        rows = zip(table["word"][:], table["phonemes"][:], strict=True)
        lexicon: Lexicon = {}
        for i, (word, phonemes) in enumerate(rows, 1):
            try:
                answer = tokens_of(phonemes or "")
                if not word:
                    raise DataError("it has no word.")
            except DataError as error:
                raise DataError(
                    f"Row {i} of the {split} set of {self.dataset} cannot be read: {error}"
                ) from None
            if re.fullmatch("[a-z']+", word.lower()):
                answers = lexicon.setdefault(word.lower(), [])
                if answer not in answers:  # pronunciations may differ in stress alone
                    answers.append(answer)
        return lexicon


def tokens_of(phonemes: str) -> list[int]:
    """Return phonemes, such as `SH UW1 T S`, as tokens without stress.

    Raises:
        DataError: there is no phoneme, or one that is not in CMUdict.
    """
    found = [phoneme.rstrip("012") for phoneme in phonemes.split()]
    if not found:
        raise DataError("it has no phonemes.")
    for phoneme in found:
        if phoneme not in TOKENS:
            raise DataError(f"{phoneme!r} is not a phoneme of CMUdict; these are {', '.join(PHONEMES)}.")
    return [TOKENS[phoneme] for phoneme in found]


def encode(entries: list[tuple[str, list[list[int]]]], references: bool = False) -> Batch:
    """Encode words and their pronunciations as tokens, padded to the longest.

    Args:
        entries: words, each with its pronunciations; the first is the target.
        references: whether the batch has all pronunciations as an extra.
    """
    most = max(len(answers) for _, answers in entries)
    steps = max(len(answer) for _, answers in entries for answer in answers) + 1
    longest = max(len(word) for word, _ in entries)
    inputs = [[LETTERS.index(letter) for letter in word.ljust(longest, LETTERS[0])] for word, _ in entries]
    filled = [answers + answers[:1] * (most - len(answers)) for _, answers in entries]
    padded = [[answer + [END] * (steps - len(answer)) for answer in answers] for answers in filled]
    pronunciations = torch.from_numpy(np.array(padded))  # faster than torch.tensor of lists
    targets = pronunciations[:, 0].contiguous()
    return Batch(
        torch.from_numpy(np.array(inputs)),
        targets,
        mask=torch.arange(steps) <= (targets != END).sum(1, keepdim=True),
        lengths=torch.tensor([len(word) for word, _ in entries]),
        extras={"references": pronunciations} if references else {},
    )
