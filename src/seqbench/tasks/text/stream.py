"""A text as streams: predict the next character, byte or word."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqbench.data.texts import ColumnText, FileText, Text
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.text.corpus import SPLITS, UNKNOWN, Corpus, Recipe, corpus
from seqbench.tasks.text.units import UNITS

#: The shares of a single file that are for training, validation and testing.
SHARES = (0.9, 0.05, 0.05)


class TextStream(Task):
    """Predict the next token of a text: a character, a byte or a word.

        t o _ b e , _ o r _ n o t | _ t o _ b e : _ t h e r e     the training text in two streams of a
        ╰ step 1 ─╯ ╰ step 2 ─╯     ╰ step 1 ─╯ ╰ step 2 ─╯       batch, read in pieces of six steps

    The training text is cut into `batch_size` contiguous streams. Each optimisation step reads the next
    `length` steps of every stream, and the state of the model is carried on: back-propagation through time is
    truncated where a piece begins. At the start of an epoch streams and state begin anew; what is left of a
    stream at its end, less than a piece, is not read. The order is that of the text: seeds differ in their
    weights alone.

    Validation and test go through their whole text with carried state, as one stream, and count every token
    but the first: `bpc`, bits per character (or byte), the mean of −log2 p; of words `perplexity`, the
    exponential of the mean loss. Each line of a text of words ends with the word <eos>, which counts, as
    Mikolov does with the Penn Treebank.

    The vocabulary is that of the training split. An unknown token is added where a token is not in it.

    The text is tokenised once, cached in `data_dir` by content, and mapped into memory.

    Args:
        path: the file of the text, or of its training split; null reads `dataset`.
        validation_path, test_path: files of the other splits; null cuts them from the end of `path`.
        shares: of a single file that are for training, validation and testing, in this order.
        unit: char, byte or word.
        vocabulary: the most tokens, the unknown one included; null for all.
        length: steps of a piece.
        validation_streams, test_streams: contiguous streams in which these splits are read. Each begins from
            the initial state, so that more of them are faster, and a little worse at their beginnings.
        solved_at: bits per character, or the perplexity, that counts as solved; null for none.
        dataset: the data set's folder in `data_dir`, with a Parquet file for each split.
        hub_id: the data set's name on the hub.
        column: of the data set, with the text.
        data_dir: the folder of the mirrored data sets, and of the cache.

    Raises:
        ConfigError: a value is out of range, or does not go with another.
        DataError: on first use, if no text is named, or one is missing, empty, too short, or not UTF-8.
    """

    streams = True
    unknown = UNKNOWN

    def __init__(
        self,
        path: str | Path | None = None,
        validation_path: str | Path | None = None,
        test_path: str | Path | None = None,
        shares: Sequence[float] = SHARES,
        unit: Literal["char", "byte", "word"] = "char",
        vocabulary: int | None = None,
        length: int = 50,
        validation_streams: int = 1,
        test_streams: int = 1,
        solved_at: float | None = None,
        dataset: str | None = None,
        hub_id: str | None = None,
        column: str = "text",
        data_dir: str | Path = "data",
    ) -> None:
        if unit not in UNITS:
            raise ConfigError(f"task.unit={unit} is unknown; give one of {', '.join(UNITS)}.")
        if path is not None and dataset is not None:
            raise ConfigError(
                f"task.path={path} and task.dataset={dataset} name two texts; give one of them."
            )
        if (validation_path is None) != (test_path is None) or (validation_path and path is None):
            raise ConfigError(
                "task.validation_path and task.test_path go together, beside task.path; give all of them, or"
                " task.path alone."
            )
        if len(shares) != 3 or min(shares) <= 0 or not math.isclose(sum(shares), 1):
            raise ConfigError(
                f"task.shares={list(shares)} must be three numbers above 0 whose sum is 1: those of training,"
                " validation and test."
            )
        if tuple(shares) != SHARES and (dataset or validation_path):
            raise ConfigError(f"task.shares={list(shares)} has no effect, as splits are given; leave it out.")
        if vocabulary is not None and vocabulary < 2:
            raise ConfigError(f"task.vocabulary={vocabulary} leaves nothing to predict; give at least 2.")
        counts = {"length": length, "validation_streams": validation_streams, "test_streams": test_streams}
        for key, value in counts.items():
            if value < 1:
                raise ConfigError(f"task.{key}={value} must be at least 1.")
        if solved_at is not None and not solved_at > 0:
            raise ConfigError(f"task.solved_at={solved_at} must be above 0, or null.")
        paths = (path, *([] if validation_path is None else [validation_path, test_path]))
        keys = ("task.path", "task.validation_path", "task.test_path")
        self._texts: list[Text] = (
            [ColumnText(dataset, hub_id, split, data_dir, column) for split in SPLITS]
            if dataset is not None
            else [FileText(Path(str(each)), key) for each, key in zip(paths, keys, strict=False) if each]
        )
        self.unit = UNITS[unit]
        self.by_words = unit == "word"
        self.recipe = Recipe(self._texts, unit, vocabulary, tuple(shares))
        self.cache = Path(data_dir) / ".cache"
        self.length = length
        self.eval_lengths = (length,)
        self.validation_streams = validation_streams
        self.test_streams = test_streams
        self.solved_at = solved_at
        self.variant = self.unit.tokens
        self.solved_when = (
            None
            if solved_at is None
            else f"{'a perplexity' if self.by_words else 'bits per token'} of {solved_at:g}, the mark that"
            " the preset names"
        )

    @cached_property
    def corpus(self) -> Corpus:
        """The tokens, and what they are called."""
        if not self._texts:
            raise DataError("task.path is null and names no text; give the file of one: task.path=book.txt.")
        return corpus(self.recipe, self.cache)

    @cached_property
    def inputs(self) -> Tokens:  # type: ignore[override]  # elsewhere a plain attribute
        return Tokens(len(self.corpus.symbols))

    @cached_property
    def targets(self) -> Classes:  # type: ignore[override]  # elsewhere a plain attribute
        return Classes(len(self.corpus.symbols), per_step=True)

    @property
    def metric(self) -> str:  # type: ignore[override]  # elsewhere one for all of a class
        return "perplexity" if self.by_words else "bpc"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        own = Metric("perplexity", "min", "", 1.0) if self.by_words else Metric("bpc", "min", "bits", 0.0)
        return *super().metrics, own

    def fingerprint(self) -> str:
        """Return a hash of the tokens as the task reads them, and of what they are called."""
        return self.corpus.digest

    # Training

    def _stream_steps(self, batch_size: int) -> int:
        """Return the steps of a training stream, each with a next token."""
        return max(0, len(self.corpus.splits["train"]) // batch_size - 1)

    def epoch_steps(self, batch_size: int) -> int:
        return self._stream_steps(batch_size) // self.length

    def prepare(self, batch_size: int) -> None:
        if not self.epoch_steps(batch_size):
            tokens, least = len(self.corpus.splits["train"]), batch_size * (self.length + 1)
            raise ConfigError(
                f"The training text, of {self._texts[0].name}, has {tokens} {self.unit.tokens}, too few for"
                f" batch_size={batch_size} streams of task.length={self.length} steps, which need {least};"
                " give fewer of either."
            )
        self._steps("validation", self.validation_streams)
        self._steps("test", self.test_streams)

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        self.prepare(batch_size)
        tokens, steps = self.corpus.splits["train"], self.epoch_steps(batch_size)
        size = len(tokens) // batch_size
        streams = tokens[: batch_size * size].reshape(batch_size, size)
        while True:
            at = start % steps * self.length
            yield _next_tokens(streams[:, at : at + self.length + 1])
            start += 1

    # Evaluation

    def validation(self) -> Batch:
        return self._whole("validation", self.validation_streams)

    def test(self, length: int) -> Batch:
        if length != self.length:
            raise ConfigError(
                f"The test text is read whole, in pieces of {self.length} steps; there is none at {length}."
            )
        return self._whole("test", self.test_streams)

    def first_sequences(self, count: int) -> Batch:
        tokens = self.corpus.splits["validation"]
        count = min(count, (len(tokens) - 1) // self.length) or 1
        pieces = [tokens[i * self.length : (i + 1) * self.length + 1] for i in range(count)]
        return _next_tokens(np.stack(pieces))

    def _whole(self, split: str, count: int) -> Batch:
        """Return a split as contiguous streams, the last of which may be shorter; every next token counts."""
        steps = self._steps(split, count)
        tokens = self.corpus.splits[split].astype(np.int64)
        pairs, room = len(tokens) - 1, count * steps
        inputs, targets = (torch.from_numpy(np.resize(part, room)) for part in (tokens[:-1], tokens[1:]))
        mask = None if room == pairs else (torch.arange(room) < pairs).view(count, steps)
        return Batch(inputs.view(count, steps), targets.view(count, steps), mask=mask)

    def _steps(self, split: str, count: int) -> int:
        """Return the steps of each of `count` streams of a split."""
        tokens = len(self.corpus.splits[split])
        steps = -(-(tokens - 1) // count)
        if (count - 1) * steps >= tokens - 1:  # the last one would be empty
            raise ConfigError(
                f"task.{split}_streams={count} is too many for the {tokens} {self.unit.tokens} of the {split}"
                " text; give fewer."
            )
        return steps

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        loss, weights = measures["loss"]
        return measures if self.by_words else measures | {"bpc": (loss / math.log(2), weights)}

    def summary(self, metrics: dict[str, float]) -> dict[str, float]:
        if not self.by_words:
            return metrics
        return metrics | {
            name.replace("loss", "perplexity"): _exponential(value)
            for name, value in metrics.items()
            if name.endswith("loss")
        }

    def baseline_loss(self, length: int) -> float:
        """Return the cross-entropy of the test tokens under the training tokens' frequencies, in nats.

        Each token counts once more than it occurs in training, so that none is impossible.
        """
        known, found = self._frequencies("train"), self._frequencies("test", first=1)
        likely = np.log((known + 1) / (known.sum() + len(known)))
        return float(-(found * likely).sum() / found.sum())

    def chance(self, length: int) -> dict[str, float]:
        loss, found = self.baseline_loss(length), self._frequencies("test", first=1)
        most = float(found[self._frequencies("train").argmax()] / found.sum())
        own = {"perplexity": _exponential(loss)} if self.by_words else {"bpc": loss / math.log(2)}
        return {"accuracy": most, **own}

    def _frequencies(self, split: str, first: int = 0) -> NDArray[np.intp]:
        return np.bincount(self.corpus.splits[split][first:], minlength=self.inputs.size)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return self.solved_at is not None and metrics[self.metric] <= self.solved_at

    # In a reader's words

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        shown = [symbol if symbol.isprintable() else repr(symbol)[1:-1] for symbol in self.corpus.symbols]
        return shown, shown

    def normalised(self, sequence: Any) -> Any:
        """Return a new sequence in the names of its tokens: those of a text of characters are its letters."""
        if self.recipe.unit != "char" or not isinstance(sequence, str):
            return sequence
        shown = dict(zip(self.corpus.symbols, self.token_names()[0], strict=True))
        return [shown.get(letter, letter) for letter in sequence]


def _next_tokens(pieces: NDArray[np.integer[Any]]) -> Batch:
    """Return tokens (B, T + 1) as inputs and, one step later, their targets."""
    tokens = torch.from_numpy(pieces.astype(np.int64))
    return Batch(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())


def _exponential(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
