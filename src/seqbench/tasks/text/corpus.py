"""A corpus: the tokens of the three splits of a text, made once and mapped into memory.

It is cached by content: by the hashes of the files, the settings, and the source of the code that makes it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqbench.data import texts as reading
from seqbench.data.texts import Text
from seqbench.errors import DataError
from seqbench.tasks.text import units
from seqbench.tasks.text.units import UNITS, Unit

SPLITS = ("train", "validation", "test")
#: The token of what is not in the vocabulary.
UNKNOWN = "<unk>"
#: What reading a damaged folder of the cache may raise.
DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError)


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
    def places(self) -> list[str]:
        """Where the texts lie, whatever their contents."""
        return [text.place for text in self.texts]

    @cached_property
    def version(self) -> str:
        """A hash of the texts' contents and of the code that makes a corpus."""
        sources = [Path(str(module.__file__)) for module in (reading, units)] + [Path(__file__)]
        code = [hashlib.sha256(source.read_bytes()).hexdigest() for source in sources]
        return _hash([*code, *(text.digest() for text in self.texts)])

    def key(self) -> str:
        """Return a hash of the texts' contents, the settings, and the code that makes a corpus."""
        shares = list(self.shares) if len(self.texts) == 1 else None
        return _hash([self.version, self.unit, self.vocabulary, shares])


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
    """Return the corpus of a recipe, from a folder below `cache` if it is there; a damaged one is made anew.

    Which it is its digest says, so that nothing that was changed or cut there is ever read.

    Where one is made, those that were made of what the texts held before are removed. A cache that cannot be
    written only costs time and memory.

    Raises:
        DataError: a text is missing, empty, not UTF-8, too short to be split, or one token alone.
    """
    folder = cache / f"text-{recipe.key()}"
    with suppress(*DAMAGED):
        return _read(folder)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=cache, prefix=".text-"))
        draft = scratch / "whole"
        draft.mkdir()  # which others may read, as the folder around it may not be
    except OSError:
        return _make(recipe, None)
    try:
        made = _make(recipe, draft)
        of = {"places": recipe.places, "version": recipe.version}
        facts = {"symbols": made.symbols, "digest": made.digest, **of}
        (draft / "corpus.json").write_text(json.dumps(facts), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process was faster
            draft.rename(folder)
        _remove_superseded(cache, recipe)
        with suppress(*DAMAGED):  # another process is just putting its own there
            return _read(folder)
        return made
    except OSError:  # the disk is full
        return _make(recipe, None)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_superseded(cache: Path, recipe: Recipe) -> None:
    """Remove what was made of the same texts when they held something else, or by other code.

    Who has mapped it keeps it. Who is about to read it finds a damaged one, and makes it anew.
    """
    for folder in cache.glob("text-*"):
        with suppress(*DAMAGED):
            facts = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
            if facts["places"] == recipe.places and facts["version"] != recipe.version:
                shutil.rmtree(folder, ignore_errors=True)


def _hash(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _read(folder: Path) -> Corpus:
    facts = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    splits = {split: np.load(folder / f"{split}.npy", mmap_mode="r") for split in SPLITS}
    digest = _digest(facts["symbols"], splits)
    if digest != facts["digest"]:
        raise ValueError(f"{folder} was changed")
    return Corpus(tuple(facts["symbols"]), splits, digest)


def _digest(symbols: Sequence[str], splits: Mapping[str, NDArray[Any]]) -> str:
    """Return a hash of the tokens, and of what they are called."""
    digest = hashlib.sha256(json.dumps([*symbols]).encode())
    for split, tokens in splits.items():
        digest.update(f"{split} {len(tokens)} ".encode())
        digest.update(tokens.data)
    return digest.hexdigest()[:16]


def _make(recipe: Recipe, folder: Path | None) -> Corpus:
    """Make a corpus; its arrays lie in a folder, or in memory without one."""
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
        shape = (found.total(),)
        arrays[split] = (
            np.empty(shape, dtype)
            if folder is None
            else np.lib.format.open_memmap(folder / f"{split}.npy", "w+", dtype, shape)
        )
    filled = dict.fromkeys(SPLITS, 0)
    for split, block in _pieces(recipe, unit, sizes):
        at = filled[split]
        filled[split] += len(block)
        arrays[split][at : filled[split]] = unit.encode(block, numbers, unknown)
    for tokens in arrays.values():
        if isinstance(tokens, np.memmap):
            tokens.flush()
    return Corpus(tuple(symbols), arrays, _digest(symbols, arrays))


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
