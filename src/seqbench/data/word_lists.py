"""Words of eleven languages, from the word lists of Debian."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from seqbench.data.packages import apt_download, run
from seqbench.data.splits import hash_fraction, split_of
from seqbench.data.table_packages import TablePackage
from seqbench.errors import DataError


class WordList(NamedTuple):
    """A Debian package with the words of a language.

    package: its name and version.
    file: of the words in /usr/share/dict, one on each line.
    encoding: of the file.
    """

    package: str
    file: str
    encoding: str = "utf-8"


LISTS = {
    "catalan": WordList("wcatalan=0.20111230b-14", "catalan"),
    "danish": WordList("wdanish=1.6.36-14", "danish"),
    "dutch": WordList("wdutch=1:2.20.19-2", "dutch"),
    "english": WordList("wamerican=2020.12.07-2", "american-english"),
    "french": WordList("wfrench=1.2.7-2", "french"),
    "german": WordList("wngerman=20161207-11", "ngerman"),
    "italian": WordList("witalian=1.10", "italian"),
    "polish": WordList("wpolish=20220301-1", "polish"),
    "portuguese": WordList("wportuguese=20220621-1", "portuguese"),
    "spanish": WordList("wspanish=1.0.30", "spanish"),
    "swedish": WordList("wswedish=1.4.5-3", "swedish", "latin-1"),
}
#: Words of each language; the shortest list has five times as many that no other has.
WORDS = 10_000


def read(packages: Path) -> Mapping[str, Mapping[str, list[str]]]:
    """Read the lists and draw as many words of each language; splits are by the hash of the word.

    A word counts if it has letters alone. It is lower-cased, so that no capital tells a German noun. Words
    that are in several lists are left out: they have no one language. Of the rest those are drawn whose hash
    is lowest.

    Raises:
        DataError: a language has too few.
    """
    splits: dict[str, dict[str, list[str]]] = {
        split: {"word": [], "language": []} for split in ("train", "validation", "test")
    }
    with tempfile.TemporaryDirectory(dir=packages.parent) as unpacked:
        for package in sorted(packages.iterdir()):
            run(["dpkg-deb", "-x", package.name, unpacked], cwd=packages)
        folder = Path(unpacked) / "usr/share/dict"
        found = {language: _words(folder / each.file, each.encoding) for language, each in LISTS.items()}
    lists = Counter(word for words in found.values() for word in words)
    for language, words in found.items():
        own = [word for word in words if lists[word] == 1]
        if len(own) < WORDS:
            raise DataError(f"{LISTS[language].package} has {len(own)} words of its own, and not {WORDS}.")
        for word in sorted(own, key=lambda word: (hash_fraction("sample", word), word))[:WORDS]:
            rows = splits[split_of(word)]
            rows["word"].append(word)
            rows["language"].append(language)
    return splits


def _words(path: Path, encoding: str) -> set[str]:
    lines = path.read_text(encoding=encoding).split("\n")
    return {word.lower() for word in lines if word.isalpha()}


SOURCE = TablePackage(
    title="Words of eleven languages, 10,000 of each, from the word lists of Debian",
    hub_id=None,
    package="the Debian packages " + ", ".join(each.package.replace("=", " ") for each in LISTS.values()),
    command=apt_download(*(each.package for each in LISTS.values())),
    sha256="d28a6cca9fcf8dd47b1331afd2e7ae0dab920beaad3a98cea340c0b80f550629",
    read=read,
    columns="word, language",
    what="words",
    rows={"train": 89_238, "validation": 9_761, "test": 11_001},
    licence="Of each list its own: the Spanish one is in the public domain; the English one is of SCOWL,"
    " which may be used, copied and sold with its notice; the Dutch one is under BSD or CC BY 3.0, the Polish"
    " one under GPL, LGPL, MPL, Apache 2.0 or CC BY 4.0, the Portuguese one under GPL, LGPL or MPL; those"
    " of the other languages under the GPL, version 2 or later (Italian: 3 or later).",
)
