"""Graphemes to phonemes: words and their pronunciations, as CMUdict has them."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice, product
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from seqbench.data.cmudict import columns
from seqbench.data.source import mirror_file
from seqbench.data.splits import hash_fraction
from seqbench.data.table_packages import write_table
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Tokens
from seqbench.tasks.translation.base import Sequences
from seqbench.tasks.translation.g2p import END, G2P, LETTERS, PHONEMES, tokens_of

SOUNDS = {"a": "AE1", "b": "B", "d": "D", "i": "IH0", "n": "N", "s": "S", "'": ""}
#: All words of two to four of these letters, spelt out; some end in an apostrophe and `s`.
WORDS = ["".join(letters) for n in (2, 3, 4) for letters in product("abdins", repeat=n)]
WORDS += [f"{word}'s" for word in WORDS if len(word) == 2]
TEST = [
    ("chutes", "SH UW1 T S"),
    ("paths", "P AE1 DH Z"),
    ("paths", "P AE1 TH S"),
    ("a.m.", "EY2 EH1 M"),  # left out
    ("able-bodied", "EY1 B AH0 L B AA1 D IY0 D"),  # left out
    ("Record", "R AH0 K AO1 R D"),
    ("record", "R EH1 K ER0 D"),
    ("record", "R EH1 K ER1 D"),  # the same but for stress
    ("record", "R IH0 K AO1 R D"),
    ("o'er", "AO1 R"),
]


def spelt(word: str) -> str:
    return " ".join(SOUNDS[letter] for letter in word if SOUNDS[letter])


def folder(data_dir: Path, train: list[tuple[str, str]], test: list[tuple[str, str]]) -> Path:
    (data_dir / "cmudict").mkdir(parents=True)
    for split, entries in (("train", train), ("test", test)):
        write_table(columns(entries), mirror_file("cmudict", split, data_dir))
    return data_dir


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train = [(word, spelt(word)) for word in WORDS]
    train += [(word, f"{spelt(word)} Z") for word in WORDS[::10]]  # a second pronunciation
    return folder(tmp_path_factory.mktemp("data"), train, TEST)


def decoded(batch: Batch, row: int) -> tuple[str, str]:
    """Return a row's word and target; what is beyond them is padding."""
    n, phonemes = int(batch.lengths[row]), batch.targets[row].tolist()
    assert batch.mask[row].tolist() == [t <= phonemes.index(END) for t in range(len(phonemes))]
    assert set(phonemes[phonemes.index(END) :]) == {END}
    word = "".join(LETTERS[letter] for letter in batch.inputs[row, :n].tolist())
    return word, " ".join(PHONEMES[phoneme] for phoneme in phonemes[: phonemes.index(END)])


def references(batch: Batch, row: int) -> list[str]:
    return [
        " ".join(PHONEMES[phoneme] for phoneme in answer if phoneme != END)
        for answer in batch.extras["references"][row].tolist()
    ]


def test_evaluation_has_each_word_once_with_all_it_may_sound_like(data_dir):
    batch = G2P(data_dir=data_dir).test(6)
    assert [decoded(batch, row) for row in range(4)] == [
        ("chutes", "SH UW T S"),
        ("paths", "P AE DH Z"),
        ("record", "R AH K AO R D"),
        ("o'er", "AO R"),
    ]
    assert references(batch, 0) == ["SH UW T S"] * 3
    assert references(batch, 1) == ["P AE DH Z", "P AE TH S", "P AE DH Z"]
    assert references(batch, 2) == ["R AH K AO R D", "R EH K ER D", "R IH K AO R D"]
    assert batch.inputs.shape == (4, 6) and batch.extras["references"].shape == (4, 3, 7)
    assert torch.equal(batch.extras["references"][:, 0], batch.targets)


def test_training_has_each_pronunciation_and_splits_share_no_word(data_dir):
    task = G2P(data_dir=data_dir)
    train = [decoded(task.train, row) for row in range(len(task.train.inputs))]
    validation = task.validation()
    held_out = {decoded(validation, row)[0] for row in range(len(validation.inputs))}
    assert not task.train.extras
    # About 2 % of the words, and those that the words themselves tell.
    assert 0.005 < len(held_out) / len(WORDS) < 0.04
    assert held_out == {word for word in WORDS if hash_fraction("validation", word) < 0.02}
    assert {word for word, _ in train} == set(WORDS) - held_out
    without_stress = {word: spelt(word).replace("1", "").replace("0", "") for word in WORDS}
    expected = [(word, without_stress[word]) for word in WORDS if word not in held_out]
    expected += [(word, f"{without_stress[word]} Z") for word in WORDS[::10] if word not in held_out]
    assert sorted(train) == sorted(expected)


def test_specs(data_dir):
    task = G2P(data_dir=data_dir)
    assert task.inputs == Tokens(27) and task.targets == Sequences(40, per_step=True, end=39)
    assert len(set(PHONEMES)) == 39 and list(PHONEMES) == sorted(PHONEMES)
    assert (task.kind, task.metric, task.direction) == ("two-sequence", "word_error", "min")
    assert task.length == task.steps == 6 and task.eval_lengths == (6,)
    with pytest.raises(ConfigError, match="words of up to 6 letters, so there is none at 5"):
        task.test(5)


def test_a_model_can_be_counted_without_being_made(data_dir):
    task = G2P(data_dir=data_dir)
    with torch.device("meta"):
        assert task.steps > 0 and task.inputs.size > 0 and task.targets.size > 0
    assert task.train.inputs.device.type == "cpu"


def test_training_batches_are_of_similar_lengths(data_dir):
    task = G2P(data_dir=data_dir)
    size = 32
    steps = len(task.train.inputs) // size
    batches = list(islice(task.train_batches(0, size), steps))
    letters = sum(batch.inputs.numel() for batch in batches)
    phonemes = sum(batch.targets.numel() for batch in batches)
    assert 1 - sum(int(batch.lengths.sum()) for batch in batches) / letters < 0.05
    assert 1 - sum(int(batch.mask.sum()) for batch in batches) / phonemes < 0.05
    seen = Counter(decoded(batch, row) for batch in batches for row in range(size))
    all_rows = Counter(decoded(task.train, row) for row in range(len(task.train.inputs)))
    assert seen <= all_rows and seen.total() == steps * size
    for batch, other in zip(batches, task.train_batches(1, size), strict=False):
        assert batch.inputs.shape == other.inputs.shape and batch.targets.shape == other.targets.shape


def test_errors_are_of_the_nearest_pronunciation(data_dir):
    task = G2P(data_dir=data_dir)
    batch = task.test(6)
    said = ["SH UW T S", "P AE TH S", "R IH K AO D D", "AO"]
    tokens = torch.full((4, 7), END)
    for row, phonemes in enumerate(said):
        tokens[row, : len(phonemes.split())] = torch.tensor(tokens_of(phonemes))
    found = task.measure(F.one_hot(tokens, 40).float(), batch)
    assert set(found) == {"loss", "accuracy", "word_error", "phoneme_error"}
    means = {name: ((v * w).sum() / w.sum()).item() for name, (v, w) in found.items()}
    assert found["word_error"][0].tolist() == [0, 0, 1, 1] and means["word_error"] == 0.5
    # No edits of 4 and 4, one of 6 and one of 2: each of the pronunciation that is nearest.
    assert means["phoneme_error"] == pytest.approx(2 / 16)


def test_baseline_is_the_loss_of_the_training_frequencies_at_each_step(data_dir):
    task = G2P(data_dir=data_dir)
    counts = [Counter(range(40)) for _ in range(7)]
    for row in task.train.targets.tolist():
        for step, token in enumerate(row[: row.index(END) + 1]):
            counts[step][token] += 1
    losses = []
    for row in task.test(6).targets.tolist():
        for step, token in enumerate(row[: row.index(END) + 1]):
            losses.append(-math.log(counts[step][token] / counts[step].total()))
    assert task.baseline_loss(6) == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    most = [step.most_common(1)[0][0] for step in counts]
    right = [
        token == most[step]
        for row in task.test(6).targets.tolist()
        for step, token in enumerate(row[: row.index(END) + 1])
    ]
    assert task.chance(6)["accuracy"] == pytest.approx(sum(right) / len(right))
    shares = torch.tensor([[step[token] / step.total() for token in range(40)] for step in counts])
    measured = task.targets.loss(shares.log().expand(4, 7, 40), task.test(6))
    assert task.baseline_loss(6) == pytest.approx(measured.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("an", "AE1 NN"), r"Row 2 of the train set of cmudict cannot be read: 'NN' is not a phoneme .* ZH"),
        (("an", "AE3 N"), r"Row 2 .*'AE3' is not a phoneme"),
        (("an", " "), r"Row 2 of the train set of cmudict cannot be read: it has no phonemes"),
        (("an", None), r"Row 2 .* it has no phonemes"),
        (("", "AE1 N"), r"Row 2 .* it has no word"),
        ((None, "AE1 N"), r"Row 2 .* it has no word"),
        (("paths", "P AE1 TH S"), r"The word 'paths' .* in its train and in its test set"),
    ],
)  # fmt: skip
def test_what_is_no_dictionary_is_one_sentence(tmp_path, entry, message):
    task = G2P(data_dir=folder(tmp_path / "data", [("in", "IH0 N"), entry], TEST))
    with pytest.raises(DataError, match=message) as caught:
        task.validation()
    assert "\n" not in str(caught.value) and str(caught.value).count(". ") == 0


def test_sets_that_are_left_empty_are_named(tmp_path):
    few = G2P(data_dir=folder(tmp_path / "few", [("in", "IH0 N")], TEST))
    with pytest.raises(DataError, match=r"too few words .* its validation set is empty"):
        few.validation()
    train = [(word, spelt(word)) for word in WORDS]
    odd = G2P(data_dir=folder(tmp_path / "odd", train, [("x-1", "EH1 K S")]))
    with pytest.raises(DataError, match="its test set is empty"):
        odd.test(4)


@pytest.mark.parametrize(
    ("columns", "missing"),
    [({"word": ["in"]}, "phonemes"), ({"word": ["in"], "phonemes": [["IH0", "N"]]}, "phonemes"),
     ({"word": [1], "phonemes": ["IH0 N"]}, "word"), ({"image": [1], "label": [2]}, "word")],
)  # fmt: skip
def test_other_columns_are_an_error(tmp_path, columns, missing):
    import pandas as pd

    data_dir = folder(tmp_path / "data", [("in", "IH0 N")], TEST)
    pd.DataFrame(columns).to_parquet(mirror_file("cmudict", "test", data_dir))
    with pytest.raises(
        DataError, match=f"The test set of cmudict has no text in a column `{missing}`; it needs"
    ):
        G2P(data_dir=data_dir).validation()


def test_missing_data_are_one_sentence_that_says_what_would_do(tmp_path):
    task = G2P(data_dir=tmp_path)
    for use in (lambda: task.train, lambda: task.length, task.validation, lambda: task.prepare(1)):
        with pytest.raises(DataError, match=r"run `seqbench data --get cmudict --data-dir .*`\.$"):
            use()
    with pytest.raises(DataError, match=r"mine; put `train.parquet` and `test.parquet` there\.$"):
        G2P(dataset="mine", data_dir=tmp_path).validation()


def test_the_docstrings_example(data_dir):
    drawn = " ".join(G2P.__doc__.split())
    batch = G2P(data_dir=data_dir).test(6)
    (chutes, said), (paths, first) = decoded(batch, 0), decoded(batch, 1)
    assert f"input {' '.join(chutes)} {' '.join(paths)} target {said} end {first} end" in drawn
    assert f"also right {references(batch, 1)[1]} end" in drawn


def test_the_preset(make_task, data_dir):
    task = make_task("task=g2p", f"task.data_dir={data_dir}")
    assert isinstance(task, G2P) and task.dataset == "cmudict" and task.length == 6
    assert task.solved({"word_error": 0.2921}) and not task.solved({"word_error": 0.2922})
    assert all(words in task.solved_when for words in ("29.21 %", "Yao & Zweig, 2015", "could not be read"))
