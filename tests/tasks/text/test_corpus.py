"""Corpora: splits, vocabularies, and a cache that never serves what is out of date."""

from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest

from seqbench.data import array_cache
from seqbench.data.array_cache import FACTS
from seqbench.data.texts import FileText
from seqbench.errors import DataError
from seqbench.tasks.text import corpus as module
from seqbench.tasks.text.corpus import SPLITS, Recipe, corpus

CACHE = Path("cache")


def made(*contents: str, unit="char", vocabulary=None, shares=(0.5, 0.25, 0.25), name="text"):
    texts = []
    for i, content in enumerate(contents):
        path = Path(f"{name}{i}.txt")
        path.write_text(content)
        texts.append(FileText(path, "task.path"))
    return corpus(Recipe(texts, unit, vocabulary, shares), CACHE)


def words_of(found, split: str) -> list[str]:
    return [found.symbols[token] for token in found.splits[split]]


def test_one_text_is_cut_where_the_shares_say():
    found = made("abcdabcdaabb")
    assert ["".join(words_of(found, split)) for split in SPLITS] == ["abcdab", "cda", "abb"]
    assert found.symbols == ("a", "b", "c", "d")  # the most frequent first, then in order
    assert found.splits["train"].dtype == np.uint8


def test_the_vocabulary_is_that_of_training():
    found = made("aab", "ab", "azb")
    assert found.symbols == ("a", "b", "<unk>")
    assert words_of(found, "test") == ["a", "<unk>", "b"]


def test_a_vocabulary_that_is_cut_has_a_token_for_the_rest():
    found = made("a a a b b c", "a c", "b d", unit="word", vocabulary=3)
    assert found.symbols == ("a", "b", "<unk>") or found.symbols == ("a", "<eos>", "<unk>")
    assert len(found.symbols) == 3
    whole = made("a a a b b c", "a c", "b c", unit="word", vocabulary=4)
    assert set(whole.symbols) == {"a", "b", "c", "<eos>"}  # nothing is unknown
    text_has_one = made("<unk> <unk> a a a b", "a a", "b a", unit="word", vocabulary=3)
    assert text_has_one.symbols.count("<unk>") == 1 and len(text_has_one.symbols) == 3


def test_a_split_with_nothing_to_predict_is_refused():
    with pytest.raises(DataError, match="has 1 characters for its validation set"):
        made("abcd", shares=(0.5, 0.25, 0.25))


def test_the_cache_is_by_content(monkeypatch):
    first = made("abcdabcdaabb")
    folders = {*CACHE.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(module, "_make", None)  # nothing is made again
        assert made("abcdabcdaabb", name="elsewhere").digest == first.digest
    changed = made("abcdabcdaabc")
    assert changed.digest != first.digest
    assert len({*CACHE.iterdir()} - folders) == 1
    assert made("abcdabcdaabb", unit="byte").digest != first.digest


def test_an_edited_tokeniser_makes_a_corpus_anew(monkeypatch):
    before = made("abcdabcdaabb")
    edited = Path("edited.py")
    edited.write_text(Path(module.units.__file__).read_text() + "# edited\n")
    monkeypatch.setattr(module.units, "__file__", str(edited))
    recipe = Recipe([FileText(Path("text0.txt"), "task.path")], "char", None, (0.5, 0.25, 0.25))
    assert not recipe.origin.folder(CACHE).exists()
    assert corpus(recipe, CACHE).digest == before.digest  # that the tokens are the same makes it the same run


def test_what_a_text_held_before_is_removed_and_who_reads_it_keeps_it():
    other = made("xyxyxyxy", name="other")
    before = made("abcdabcdaabb")
    made("abcdabcdaabb", unit="byte")
    assert len([*CACHE.iterdir()]) == 3
    after = made("abcdabcdaabc")  # by characters; what was made by bytes is of the text before too
    assert len([*CACHE.iterdir()]) == 2
    assert "".join(words_of(before, "train")) == "abcdab" and before.digest != after.digest
    made("abcdabcdaabc", unit="byte")
    made("abcdabcdaabc", shares=(0.25, 0.5, 0.25))  # the same contents: none supersedes another
    assert len([*CACHE.iterdir()]) == 4
    assert made("xyxyxyxy", name="other").digest == other.digest


@pytest.mark.parametrize(
    "damage", ["nonsense", "empty", "cut", "a bit", "another split", "the digest", "none"]
)
def test_a_damaged_cache_is_made_anew(damage):
    before = made("abcdabcdaabb")
    (folder,) = CACHE.iterdir()
    train, facts = folder / "train.npy", folder / FACTS
    whole = train.read_bytes()
    if damage == "the digest":
        facts.write_text(facts.read_text().replace(before.digest, "0" * 16))
    elif damage == "none":
        train.unlink()
    else:
        train.write_bytes(
            {
                "nonsense": b"nonsense",
                "empty": b"",
                "cut": whole[:-2],
                "a bit": whole[:-1] + bytes([whole[-1] ^ 1]),
                "another split": (folder / "test.npy").read_bytes(),
            }[damage]
        )
    after = made("abcdabcdaabb")
    assert after.digest == before.digest and words_of(after, "train") == list("abcdab")
    assert words_of(made("abcdabcdaabb"), "train") == list("abcdab")


def test_a_cache_that_another_process_replaces_meanwhile_is_not_needed(monkeypatch):
    """Between the two processes' removing and renaming there is no folder."""
    monkeypatch.setattr(
        array_cache, "_remove_superseded", lambda origin, cache: [*map(rmtree, CACHE.glob("text-*"))]
    )
    found = made("abcdabcdaabb")
    assert words_of(found, "train") == list("abcdab") and not [*CACHE.glob("text-*")]


def test_a_full_disk_costs_memory_alone(monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    assert words_of(made("abcdabcdaabb"), "train") == list("abcdab") and not CACHE.exists()


def test_one_token_alone_leaves_nothing_to_predict():
    with pytest.raises(DataError, match=r"text0\.txt has 'a' for all of its characters"):
        made("a" * 40)


@pytest.mark.parametrize("unit", ["char", "word"])
def test_a_byte_order_mark_is_no_token(unit):
    text = "ab cd ab cd ab cd ab cd "
    marked = made("\ufeff" + text, unit=unit, name="marked")
    assert marked.symbols == made(text, unit=unit).symbols
    assert marked.digest == made(text, unit=unit).digest


def test_a_cache_that_cannot_be_written_costs_time_alone():
    CACHE.write_text("a file")
    assert words_of(made("abcdabcdaabb"), "validation") == list("cda")


def test_tokens_are_mapped_and_not_read():
    found = made("abcdabcdaabb" * 100)
    assert all(isinstance(tokens, np.memmap) for tokens in found.splits.values())
