"""Units of a text: characters, bytes and words, whatever the blocks in which it is read."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seqbench.data import texts
from seqbench.data.texts import FileText
from seqbench.errors import DataError
from seqbench.tasks.text.units import UNITS

TEXT = "Zoë says: «naïve» 日本\n\n  the end \nno newline"


@pytest.fixture(params=[1, 3, 1000])
def block(request, monkeypatch) -> None:
    monkeypatch.setattr(texts, "BLOCK", request.param)


def read(unit: str, content: bytes) -> list:
    Path("book.txt").write_bytes(content)
    found = list(UNITS[unit].blocks(FileText(Path("book.txt"), "task.path")))
    return [symbol for piece in found for symbol in (piece.tolist() if unit != "word" else piece)]


def test_characters_are_code_points(block):
    assert read("char", TEXT.encode()) == [ord(letter) for letter in TEXT]


def test_bytes_are_those_of_the_file(block):
    assert read("byte", b"\xff\x00\n" + TEXT.encode()) == [255, 0, 10, *TEXT.encode()]


def test_words_stand_between_spaces_and_every_line_has_an_end(block):
    expected = [
        "Zoë",
        "says:",
        "«naïve»",
        "日本",
        "<eos>",
        "<eos>",
        "the",
        "end",
        "<eos>",
        "no",
        "newline",
        "<eos>",
    ]
    assert read("word", TEXT.encode()) == expected
    assert read("word", TEXT.encode() + b"\n") == expected  # the last line ends but once


def test_the_line_that_is_not_utf_8_is_named(block):
    for unit in ("char", "word"):
        with pytest.raises(
            DataError, match=r"book\.txt is not UTF-8: line 3 has the byte 0xe9; .*task\.unit=byte"
        ):
            read(unit, "é\ntwo\n".encode() + "café\n".encode("latin1"))
    with pytest.raises(DataError, match="line 2 has the byte 0xc3"):  # cut within a character
        read("char", b"one\n\xc3")


def test_unknown_symbols_have_the_number_of_unknown():
    for unit, raw in (("char", np.array([97, 98, 1000], "<u4")), ("word", ["a", "b", "c"])):
        first, second, _ = raw if unit == "word" else raw.tolist()
        counts: Counter = Counter()
        UNITS[unit].count(raw, counts)
        assert counts == dict.fromkeys(raw if unit == "word" else raw.tolist(), 1)
        assert UNITS[unit].encode(raw, {first: 5, second: 2}, 9).tolist() == [5, 2, 9]
