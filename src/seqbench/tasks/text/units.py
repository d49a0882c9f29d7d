"""Units of a text: characters, bytes or words, in blocks that never hold the whole text."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from seqbench.data.texts import Text
from seqbench.errors import DataError

#: The word that ends each line, as in Mikolov's Penn Treebank.
END_OF_LINE = "<eos>"


class Unit(ABC):
    """What a token of a text is. A block is a sequence of raw symbols, numbers or words.

    Attributes:
        tokens: what tokens are called, in the plural.
    """

    tokens: ClassVar[str]

    @abstractmethod
    def blocks(self, text: Text) -> Iterator[Any]:
        """Yield the raw symbols of a text in blocks."""

    @abstractmethod
    def count(self, block: Any, counts: Counter[Any]) -> None:
        """Add how often each raw symbol occurs in a block."""

    @abstractmethod
    def encode(self, block: Any, numbers: Mapping[Any, int], unknown: int) -> NDArray[Any]:
        """Return the tokens of a block, `unknown` for a raw symbol without a number."""

    def name(self, symbol: Any) -> str:
        """Return what a reader calls a raw symbol."""
        return str(symbol)


class Numbers(Unit):
    """Raw symbols that are whole numbers."""

    def count(self, block: NDArray[Any], counts: Counter[Any]) -> None:
        found = np.bincount(block)
        for symbol in np.flatnonzero(found).tolist():
            counts[symbol] += int(found[symbol])

    def encode(self, block: NDArray[Any], numbers: Mapping[Any, int], unknown: int) -> NDArray[Any]:
        table = np.full(int(block.max()) + 1, unknown)
        for symbol, number in numbers.items():
            if symbol < len(table):
                table[symbol] = number
        tokens: NDArray[Any] = table[block]
        return tokens


class Characters(Numbers):
    """The characters of a text in UTF-8, by their code points."""

    tokens = "characters"

    def blocks(self, text: Text) -> Iterator[NDArray[Any]]:
        for found in decoded(text):
            yield np.frombuffer(found.encode("utf-32-le", "surrogatepass"), dtype="<u4")

    def name(self, symbol: int) -> str:
        return chr(symbol)


class Bytes(Numbers):
    """The bytes of any file."""

    tokens = "bytes"

    def blocks(self, text: Text) -> Iterator[NDArray[Any]]:
        for block in text.blocks():
            yield np.frombuffer(block, dtype=np.uint8)

    def name(self, symbol: int) -> str:
        return f"0x{symbol:02x}"


class Words(Unit):
    """What stands between white space in a text in UTF-8; each line ends with `END_OF_LINE`."""

    tokens = "words"

    def blocks(self, text: Text) -> Iterator[list[str]]:
        rest, ended = "", True
        for found in decoded(text):
            read = rest + found
            cut = 1 + max(read.rfind(" "), read.rfind("\n"))  # a word may go on in the next block
            whole, rest = read[:cut], read[cut:]
            ended = whole.endswith("\n") if whole else ended
            if words := whole.replace("\n", f" {END_OF_LINE} ").split():
                yield words
        if rest or not ended:
            yield [*rest.split(), END_OF_LINE]

    def count(self, block: list[str], counts: Counter[Any]) -> None:
        counts.update(block)

    def encode(self, block: list[str], numbers: Mapping[Any, int], unknown: int) -> NDArray[Any]:
        return np.fromiter((numbers.get(word, unknown) for word in block), dtype=np.int64, count=len(block))


UNITS: dict[str, Unit] = {"char": Characters(), "byte": Bytes(), "word": Words()}


def decoded(text: Text) -> Iterator[str]:
    """Yield the blocks of a text in UTF-8 as characters, without a byte-order mark.

    Raises:
        DataError: it is not UTF-8; the message names the line.
    """
    decoder, line = codecs.getincrementaldecoder("utf-8-sig")(), 1
    try:
        for block in text.blocks():
            found = decoder.decode(block)
            line += found.count("\n")
            if found:
                yield found
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].count(b"\n")
        raise DataError(
            f"{text.name} is not UTF-8: line {line} has the byte 0x{error.object[error.start]:02x}; convert "
            "it, or give task.unit=byte, which reads any file."
        ) from error
