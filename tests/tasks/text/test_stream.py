"""Texts as streams: what a batch holds, what an evaluation counts, what is refused."""

import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

import seqbench
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.text.stream import TextStream

LETTERS = "the quick brown fox jumps over the lazy dog\n" * 40


@pytest.fixture
def book() -> Path:
    path = Path("book.txt")
    path.write_text(LETTERS)
    return path


def text_of(task, tokens) -> str:
    return "".join(task.corpus.symbols[int(token)] for token in tokens)


def test_rows_of_a_batch_go_on_where_those_before_ended(book):
    task = TextStream(book, length=7)
    tokens, rows = task.corpus.splits["train"], 5
    size = len(tokens) // rows
    steps = task.epoch_steps(rows)
    assert steps == (size - 1) // 7
    batches = list(islice(task.train_batches(0, rows), steps + 1))
    inputs = torch.cat([batch.inputs for batch in batches[:-1]], dim=1)
    targets = torch.cat([batch.targets for batch in batches[:-1]], dim=1)
    for row in range(rows):
        stream = tokens[row * size : (row + 1) * size]
        assert np.array_equal(inputs[row], stream[: 7 * steps])
        assert np.array_equal(targets[row], stream[1 : 7 * steps + 1])
    assert torch.equal(batches[-1].inputs, batches[0].inputs)  # the next epoch
    later = next(task.train_batches(0, rows, start=steps + 3))
    assert torch.equal(later.inputs, batches[3].inputs)


def test_an_evaluation_counts_every_token_but_the_first(book):
    for count in (1, 3, 4):
        task = TextStream(book, length=7, validation_streams=count)
        whole, batch = task.corpus.splits["validation"], task.validation()
        counts = torch.ones_like(batch.inputs, dtype=torch.bool) if batch.mask is None else batch.mask
        assert len(batch.inputs) == count
        assert np.array_equal(batch.inputs[counts], whole[:-1])
        assert np.array_equal(batch.targets[counts], whole[1:])


def test_splits_are_contiguous_and_cover_the_text(book):
    task = TextStream(book)
    splits = [text_of(task, task.corpus.splits[split]) for split in ("train", "validation", "test")]
    assert "".join(splits) == LETTERS
    assert [len(split) for split in splits] == [1584, 88, 88]


def test_the_metrics_are_those_of_the_field(book):
    outputs = torch.zeros(1, 3, TextStream(book).inputs.size)
    for unit, name in (("char", "bpc"), ("byte", "bpc"), ("word", "perplexity")):
        task = TextStream(book, unit=unit)
        batch = next(task.train_batches(0, 1)).time_slice(0, 3, per_step=True)
        size = task.inputs.size
        measures = task.measure(outputs[..., :size], batch)
        means = {key: float((v * w).sum() / w.sum()) for key, (v, w) in measures.items()}
        found = task.summary(means)
        assert task.metric == name and task.direction == "min"
        expected = math.log2(size) if name == "bpc" else size
        assert found[name] == pytest.approx(expected, rel=1e-5)
    assert TextStream(book, unit="word").summary({"loss": 1e4})["perplexity"] == math.inf


def test_the_baseline_is_the_cross_entropy_under_the_frequencies_of_training():
    Path("book.txt").write_text("ab" * 9 + "aabb")
    task = TextStream("book.txt", shares=[18 / 22, 2 / 22, 2 / 22], length=2)
    assert task.baseline_loss(2) == pytest.approx(math.log(2))  # nine a and nine b; the test set is bb
    assert task.chance(2) == {"accuracy": 0.0, "bpc": pytest.approx(1.0)}


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, {"path": None}, r"task\.path is null and names no text"),
        (None, {}, r"There is no file book\.txt; set task\.path"),
        (b"", {}, r"book\.txt is empty"),
        (b"ok\n\xff\n" * 100, {}, r"book\.txt is not UTF-8: line 2 has the byte 0xff"),
    ],
)
def test_a_text_that_cannot_be_read_is_named(content, arguments, message):
    if content is not None:
        Path("book.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        TextStream(**{"path": "book.txt", **arguments}).fingerprint()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "a", "dataset": "b"}, "name two texts"),
        ({"path": "a", "test_path": "b"}, "go together"),
        ({"path": "a", "unit": "letter"}, "one of char, byte, word"),
        ({"path": "a", "shares": [0.5, 0.5, 0.5]}, "whose sum is 1"),
        ({"dataset": "a", "shares": [0.8, 0.1, 0.1]}, "no effect"),
        ({"path": "a", "vocabulary": 1}, "at least 2"),
        ({"path": "a", "length": 0}, "at least 1"),
        ({"path": "a", "solved_at": 0}, "above 0"),
    ],
)
def test_values_that_do_not_go_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        TextStream(**arguments)


def test_a_text_too_short_for_a_batch_is_refused(book):
    task = TextStream(book, length=50)
    with pytest.raises(
        ConfigError, match=r"of book\.txt, has 1584 characters, too few for batch_size=32 .* 1632"
    ):
        task.prepare(32)
    with pytest.raises(ConfigError, match=r"task\.validation_streams=90 is too many"):
        TextStream(book, validation_streams=90).prepare(2)


def identity_of(*overrides: str) -> str:
    from seqbench.runs.plan import plan

    small = ("model.hidden_size=4", "batch_size=2", "logger=none", "task.length=5")
    return plan(seqbench.compose(["task=text", *small, *overrides])).hash


@pytest.mark.slow
def test_a_changed_text_is_another_run_and_another_path_is_not(book):
    before = identity_of("task.path=book.txt")
    Path("other").mkdir()
    Path("other/copy.txt").write_text(LETTERS)
    assert identity_of("task.path=other/copy.txt") == before
    Path("other/copy.txt").write_text(LETTERS.replace("lazy", "tired"))
    assert identity_of("task.path=other/copy.txt") != before
    assert identity_of("task.path=book.txt", "task.unit=word") != before
    assert identity_of("task.path=book.txt", "task.shares=[0.8,0.1,0.1]") != before


def test_new_texts_are_read_as_the_task_would(book):
    task = TextStream(book)
    found = task.read(["the dog\n", "fox"])
    assert text_of(task, found["inputs"][0]) == "the dog\n"
    assert found["lengths"].tolist() == [8, 3]
    with pytest.raises(DataError, match="no token 'Q'"):
        task.read(["Q"])
    words = TextStream(book, unit="word")
    assert text_of(words, words.read(["lazy fox"])["inputs"][0]) == "lazyfox"


@pytest.mark.parametrize("unit", ["word", "char"])
def test_a_new_token_is_the_unknown_one_where_there_is_one(book, capsys, unit):
    task = TextStream(book, unit=unit, vocabulary=3)
    names = task.token_names()[0]
    assert "<unk>" in names and len(names) == 3
    known = next(name for name in names if name.isalpha())
    text = f"{known} Q1 {known} Q1" if unit == "word" else f"{known}Ω{known}Ω"
    found = [names[token] for token in task.read([text])["inputs"][0]]
    assert found == [known, "<unk>", known, "<unk>"]
    stranger = "Q1" if unit == "word" else "Ω"
    assert capsys.readouterr().err == f"seqbench: training has no {stranger}: 2 of the tokens are <unk>.\n"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=lstm", "model.bidirectional=true"], "lstm has none to carry"),
        (["model=echo_state"], "echo_state solves for its readout"),
        (["model=rnn", "optim=sgd_omega"], r"optim\.omega="),
    ],
)
def test_a_model_without_a_stepwise_state_is_refused(book, overrides, message):
    with pytest.raises(ConfigError, match=message):
        identity_of("task.path=book.txt", *overrides)


def test_a_rate_by_epochs_counts_those_of_the_text(book):
    step = ("model=rnn", "optim.schedule=step", "optim.decay=0.5", "optim.decay_after=4")
    task = TextStream(book, length=5)
    assert task.epoch_steps(2) == 158
    with pytest.raises(ConfigError, match=r"4 epochs of 158 steps are no fewer than trainer\.max_steps=632"):
        identity_of("task.path=book.txt", *step, "trainer.max_steps=632")
    identity_of("task.path=book.txt", *step, "trainer.max_steps=633")
