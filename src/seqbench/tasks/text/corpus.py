"""A corpus: the tokens of the three splits of a text, made once, cached by content, mapped into memory."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqbench.data import texts as reading
from seqbench.data.array_cache import Allocate, Made, Origin, code_of, made_once
from seqbench.data.texts import Text
from seqbench.errors import DataError
from seqbench.tasks.text import units
from seqbench.tasks.text.units import UNITS, Unit

SPLITS = ("train", "validation", "test")
#: The token of what is not in the vocabulary.
UNKNOWN = "<unk>"


@dataclass(frozen=True)
class Recipe:
    """What a corpus is made of.

    Attributes:
        texts: one for each of `SPLITS`, or a single one, which is cut.
        unit: a key of `UNITS`.
        vocabulary: the most tokens there may be; None for all.
        shares: of a single text the parts that the splits take, in order.
    """

    texts: Sequence[Text]
    unit: str
    vocabulary: int | None
    shares: Sequence[float]

    @property
    def origin(self) -> Origin:
        """What a corpus is made of: the texts' contents, the settings, and the code that makes it."""
        return Origin(
            kind="text",
            places=[text.place for text in self.texts],
            contents=[text.digest() for text in self.texts],
            code=code_of(reading, units, sys.modules[__name__]),
            settings=[self.unit, self.vocabulary, list(self.shares) if len(self.texts) == 1 else None],
        )


@dataclass(frozen=True)
class Corpus:
    """The tokens of a text.

    Attributes:
        symbols: what each token is called; the most frequent ones of the training split first.
        splits: the tokens (N,) of each of `SPLITS`, of the smallest type that holds them.
        digest: a hash of all of these.
    """

    symbols: tuple[str, ...]
    splits: Mapping[str, NDArray[Any]]
    digest: str


def corpus(recipe: Recipe, cache: Path) -> Corpus:
    """Return the corpus of a recipe, from a folder below `cache` if it is there, see `made_once`.

    Raises:
        DataError: a text is missing, empty, not UTF-8, too short to be split, or one token alone.
    """
    arrays, facts = made_once(recipe.origin, cache, lambda allocate: _make(recipe, allocate))
    return Corpus(tuple(facts["symbols"]), arrays, facts["digest"])


def _digest(symbols: Sequence[str], splits: Mapping[str, NDArray[Any]]) -> str:
    """Return a hash of the tokens, and of what they are called."""
    digest = hashlib.sha256(json.dumps([*symbols]).encode())
    for split, tokens in splits.items():
        digest.update(f"{split} {len(tokens)} ".encode())
        digest.update(tokens.data)
    return digest.hexdigest()[:16]


def _make(recipe: Recipe, allocate: Allocate) -> Made:
    """Make the tokens of each split, and as facts what they are called and a hash of both."""
    unit = UNITS[recipe.unit]
    sizes = _sizes(recipe, unit)
    counts: dict[str, Counter[Any]] = {split: Counter() for split in SPLITS}
    for split, block in _pieces(recipe, unit, sizes):
        unit.count(block, counts[split])
    for split, found in counts.items():
        if found.total() < 2:
            raise DataError(
                f"{recipe.texts[0].name} has {found.total()} {unit.tokens} for its {split} set, which leaves "
                "nothing to predict; give a longer text, or other task.shares."
            )
    numbers, symbols = _vocabulary(counts, recipe.vocabulary, unit)
    if len(symbols) < 2:
        raise DataError(
            f"{recipe.texts[0].name} has {symbols[0]!r} for all of its {unit.tokens}: there is "
            "nothing to predict."
        )
    unknown = symbols.index(UNKNOWN) if UNKNOWN in symbols else 0
    dtype = next(kind for kind in (np.uint8, np.uint16, np.int32) if len(symbols) - 1 <= np.iinfo(kind).max)
    arrays: dict[str, NDArray[Any]] = {}
    for split, found in counts.items():
        arrays[split] = allocate(split, dtype, (found.total(),))
    filled = dict.fromkeys(SPLITS, 0)
    for split, block in _pieces(recipe, unit, sizes):
        at = filled[split]
        filled[split] += len(block)
        arrays[split][at : filled[split]] = unit.encode(block, numbers, unknown)
    return Made(arrays, {"symbols": symbols, "digest": _digest(symbols, arrays)})


def _sizes(recipe: Recipe, unit: Unit) -> list[int] | None:
    """Return the tokens of each split of a single text; None for several."""
    if len(recipe.texts) > 1:
        return None
    total = sum(len(block) for block in unit.blocks(recipe.texts[0]))
    ends = [round(total * sum(recipe.shares[: i + 1])) for i in range(2)]
    return [ends[0], ends[1] - ends[0], total - ends[1]]


def _pieces(recipe: Recipe, unit: Unit, sizes: list[int] | None) -> Iterator[tuple[str, Any]]:
    """Yield all blocks, each with the split that it belongs to."""
    if sizes is None:
        for split, text in zip(SPLITS, recipe.texts, strict=True):
            yield from ((split, block) for block in unit.blocks(text))
        return
    left, of = list(sizes), 0
    for block in unit.blocks(recipe.texts[0]):
        while len(block):
            while left[of] == 0:
                of += 1
            mine, block = block[: left[of]], block[left[of] :]
            left[of] -= len(mine)
            yield SPLITS[of], mine


def _vocabulary(
    counts: Mapping[str, Counter[Any]], most: int | None, unit: Unit
) -> tuple[dict[Any, int], list[str]]:
    """Return the number of each raw symbol, and what the tokens are called.

    The vocabulary is that of training. `UNKNOWN` is added where a symbol of any split is not in it.
    """
    known = sorted(counts["train"], key=lambda symbol: (-counts["train"][symbol], symbol))
    strangers = {symbol for found in counts.values() for symbol in found} - {*known}
    if most is not None and len(known) + bool(strangers) > most:
        known = known[:most] if UNKNOWN in known[:most] else known[: most - 1]
        strangers = {""}
    symbols = [unit.name(symbol) for symbol in known]
    if strangers and UNKNOWN not in symbols:
        symbols.append(UNKNOWN)
    return {symbol: number for number, symbol in enumerate(known)}, symbols
