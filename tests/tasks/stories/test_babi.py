"""bAbI: read as its authors wrote it, and as the hub has it."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch

from seqbench.data import hub
from seqbench.data.catalogue import CATALOGUE
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.batch import Batch
from seqbench.tasks.stories.babi import UNKNOWN, Babi, asked, read_texts, words_of
from tests.tasks.batches import same

#: A text as bAbI's files have it; the number of a line counts questions too.
TEXT = """\
1 Mary got the milk there.
2 John moved to the bedroom.
3 Where is John? \tbedroom\t2
4 Mary went back to the kitchen.
5 Where is the milk? \tkitchen\t1 4
"""
SHORT = "1 {0} went to the {1}.\n2 Where is {0}? \t{1}\t1\n"
PEOPLE = [("Mary", "office"), ("John", "kitchen"), ("Daniel", "garden"), ("Sandra", "office")]
TRAIN = "".join(SHORT.format(*PEOPLE[i % 3]) for i in range(20))
TEST = TEXT + SHORT.format("Sandra", "Attic")
CARRIED = "1 Mary took the milk.\n2 Mary took the apple.\n3 What is Mary carrying?\tmilk,apple\t1 2\n"


def folder(data_dir: Path, **files: str) -> Path:
    (data_dir / "babi").mkdir(parents=True)
    for name, content in files.items():
        (data_dir / "babi" / f"{name}.txt").write_text(content, encoding="utf-8")
    return data_dir


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    files = {
        "qa1_single-supporting-fact_train": TEXT + TRAIN,
        "qa1_single-supporting-fact_test": TEST,
        "qa8_train": CARRIED * 5,
        "qa8_valid": CARRIED * 2,
        "qa8_test": CARRIED,
    }
    return folder(tmp_path / "data", **files)


def decoded(task: Babi, batch: Batch, row: int) -> tuple[str, str, list[int], str]:
    """Return a row's text, answer, facts and type, in words."""
    words = {token: word for word, token in task.vocabulary.items()}
    answers = {i: answer for answer, i in task.answers.items()}
    assert not batch.inputs[row, batch.lengths[row] :].any()
    text = " ".join(words[token] for token in batch.inputs[row, : batch.lengths[row]].tolist())
    return (
        text,
        answers[batch.targets[row].item()],
        batch.extras["facts"][row].tolist(),
        task.types[batch.extras["types"][row]],
    )


def test_a_file_is_read_text_by_text(tmp_path):
    """Of the first text lines 1 and 4 are sentences 0 and 2: line 3 is a question."""
    path = tmp_path / "qa2_train.txt"
    path.write_text(TEXT + SHORT.format("Bill", "park"), encoding="utf-8")
    (first, second), (third,) = read_texts(path, 4)
    milk = ["mary", "got", "the", "milk", "there", "."]
    bedroom, kitchen = words_of("John moved to the bedroom"), words_of("Mary went back to the kitchen")
    assert first == ([milk, bedroom], asked("Where is John?"), "bedroom", [1], 4)
    assert second == ([milk, bedroom, kitchen], asked("Where is the milk?"), "kitchen", [0, 2], 4)
    assert third.facts == [0] and third.sentences == [["bill", "went", "to", "the", "park", "."]]


def test_words():
    assert words_of("Mr. O'Neil, who is twenty-one, left.") == (
        ["mr", "o'neil", ",", "who", "is", "twenty-one", ",", "left", "."]
    )
    assert words_of("No end") == ["no", "end", "."] and asked("Is it so?") == ["is", "it", "so", "?"]


def test_splits_and_what_they_hold(data_dir):
    task = Babi(data_dir=data_dir)
    assert task.types == ("qa1", "qa8") and task.variant == "all sets"
    train, validation, test = task.train, task.validation(), task.test(task.length)
    # Of 21 texts with 22 questions two are held out; set 8 has a validation set of its own.
    assert [len(batch.inputs) for batch in (train, validation, test)] == [20 + 5, 2 + 2, 3 + 1]
    assert [batch.extras["types"].tolist() for batch in (train, validation, test)] == [
        [0] * 20 + [1] * 5,
        [0, 0, 1, 1],
        [0, 0, 0, 1],
    ]
    assert decoded(task, train, 1) == (
        "mary got the milk there . john moved to the bedroom . mary went back to the kitchen ."
        " where is the milk ?",
        "kitchen",
        [0, 2],
        "qa1",
    )
    assert decoded(task, validation, 0) == (
        "mary went to the office . where is mary ?",
        "office",
        [0, -1],
        "qa1",
    )
    assert decoded(task, test, 3) == (
        "mary took the milk . mary took the apple . what is mary carrying ?",
        "milk,apple",
        [0, 1],
        "qa8",
    )


def test_words_that_training_has_not_are_one(data_dir):
    task = Babi(data_dir=data_dir, types=[1])
    text, answer, *_ = decoded(task, task.test(task.length), 2)
    assert text == f"{UNKNOWN} went to the {UNKNOWN} . where is {UNKNOWN} ?" and answer == "attic"
    assert "sandra" not in task.vocabulary and task.vocabulary[UNKNOWN] != 0
    assert not (task.train.inputs == task.vocabulary[UNKNOWN]).any()
    (new,) = task.read(["Sandra went to the office . Where is SANDRA ?"])["inputs"].tolist()
    said = " ".join(task.token_names()[0][word] for word in new)
    assert said == f"{UNKNOWN} went to the office . where is {UNKNOWN} ?"


def test_specs_are_those_of_the_longest(data_dir):
    task = Babi(data_dir=data_dir)
    assert task.length == task.inputs.sentences == 3 and task.eval_lengths == (3,)
    assert task.inputs.words == 7 and task.inputs.facts == 2
    assert task.inputs.size == len(task.vocabulary) and task.inputs.period == task.vocabulary["."]
    assert sorted(task.vocabulary.values()) == list(range(task.inputs.size))
    assert task.steps == 6 + 6 + 7 + 5 == task.train.inputs.shape[1]
    assert set(task.answers) == {"bedroom", "kitchen", "office", "garden", "attic", "milk,apple"}
    assert task.targets.size == 6 and not task.targets.per_step


def test_a_model_can_be_counted_without_being_made(data_dir):
    """Where tensors are but shapes, nothing of the data may be put into any."""
    task = Babi(data_dir=data_dir)
    with torch.device("meta"):
        assert task.steps > 0 and task.inputs.size > 0 and task.targets.size > 0
    assert task.train.inputs.device.type == "cpu"


def test_a_set_may_be_chosen_in_any_order(data_dir):
    task = Babi(data_dir=data_dir, types=[8, 1])
    assert task.types == ("qa8", "qa1") and task.variant == "sets 8, 1"
    assert task.train.extras["types"].tolist() == [0] * 5 + [1] * 20
    alone = Babi(data_dir=data_dir, types=[8])
    assert alone.types == ("qa8",) and set(alone.answers) == {"milk,apple"}


def test_baseline_is_the_loss_of_the_training_frequencies_on_the_test_answers(data_dir):
    task = Babi(data_dir=data_dir, types=[1])
    counts = Counter(["bedroom", "kitchen", *(PEOPLE[i % 3][1] for i in range(18))])
    answers = ["bedroom", "kitchen", "attic"]
    assert len(task.answers) == 5
    expected = -sum(math.log((counts[answer] + 1) / (20 + 5)) for answer in answers) / 3
    assert task.baseline_loss(3) == pytest.approx(expected)
    shares = torch.tensor([(counts[answer] + 1) / 25 for answer in task.answers])
    measured = task.targets.loss(shares.log().expand(3, 5), task.test(3))
    assert task.baseline_loss(3) == pytest.approx(measured.item(), rel=1e-6)
    with pytest.raises(ConfigError, match="up to 3 sentences, so there is none at 4"):
        task.test(4)


def test_training_batches_are_passes_in_an_order_of_the_seed(data_dir):
    task = Babi(data_dir=data_dir)
    batches = list(islice(task.train_batches(0, 5), 12))
    seen = Counter(row.numpy().tobytes() for batch in batches[:5] for row in batch.inputs)
    assert seen == Counter(row.numpy().tobytes() for row in task.train.inputs)
    for batch, other in zip(batches[7:], task.train_batches(0, 5, start=7), strict=False):
        assert same(batch, other)
    with pytest.raises(ConfigError, match="batch_size=26 is more than the 25"):
        task.prepare(26)


def test_files_without_facts(tmp_path):
    bare = "1 Mary went home.\n2 Where is Mary?\thome\n"
    task = Babi(data_dir=folder(tmp_path / "data", qa1_train=bare * 3, qa1_test=bare))
    assert task.inputs.facts == 0 and set(task.train.extras) == {"types"} and len(task.train.inputs) == 2


def test_the_hub_serves_where_there_are_no_files(tmp_path, monkeypatch):
    rows = [
        (1, "Mary went to the office.\nJohn went home.\n", "Where is Mary?", "office"),
        (1, "John went to the office.\n", "Where is John?", "office"),
        (19, "The den is east of the hall.\n", "How do you go from the hall to the den?", "East"),
    ]
    columns = ("task", "passage", "question", "answer")
    table = {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}
    asked_for = []

    def load(*wanted):
        asked_for.append(wanted)
        return table

    monkeypatch.setattr("seqbench.tasks.stories.babi.load", load)
    task = Babi(data_dir=tmp_path)
    assert not asked_for
    assert task.types == ("qa1", "qa19") and task.inputs.facts == 0
    assert asked_for == [("babi", "Muennighoff/babi", split, tmp_path) for split in
                         ("train", "validation", "test")]  # fmt: skip
    assert set(task.train.extras) == {"types"} and task.train.extras["types"].tolist() == [0, 0, 1]
    batch = task.train.with_extras(facts=torch.zeros(3, 0))
    assert decoded(task, batch, 0)[:2] == (
        "mary went to the office . john went home . where is mary ?",
        "office",
    )
    assert decoded(task, batch, 2)[1] == "east"
    assert len(Babi(data_dir=tmp_path, types=[19]).validation().inputs) == 1
    with pytest.raises(DataError, match="Set 3 of bAbI has too few questions: its train set is empty"):
        Babi(data_dir=tmp_path, types=[3]).validation()
    del table["passage"]
    with pytest.raises(DataError, match="has no column 'passage'"):
        Babi(data_dir=tmp_path).validation()


def test_missing_data_are_one_sentence_that_says_what_would_do(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(hub, "answers", lambda hub_id: False)
    task = Babi(data_dir=tmp_path)
    for use in (lambda: task.train, lambda: task.inputs, task.validation, lambda: task.prepare(1)):
        with pytest.raises(DataError, match=r"put its own text files there, or try again with a network\.$"):
            use()


@pytest.mark.parametrize(
    ("types", "message"),
    [([1, 2], r"no qa2_…_train.txt in .*babi; put bAbI's file there, or leave 2 out"),
     ([8], r"no qa8_…_test.txt"), (None, r"no qa1_…_test.txt")],
)  # fmt: skip
def test_a_missing_file_is_named(tmp_path, types, message):
    task = Babi(data_dir=folder(tmp_path / "data", qa1_train=TEXT, qa8_train=TEXT), types=types)
    with pytest.raises(DataError, match=message):
        task.validation()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (TEXT + "Mary left.\n", 6),
        (TEXT.replace("\t2\n", "\t3\n"), 3),
        ("3 Where is John?\thome\t\n", 1),
        (TEXT + "\n", 6),
    ],
)
def test_a_file_of_another_form_is_an_error(tmp_path, content, line):
    task = Babi(data_dir=folder(tmp_path / "data", qa1_train=content, qa1_test=TEXT))
    with pytest.raises(DataError, match=rf"Line {line} of .*qa1_train.txt does not have bAbI's form"):
        task.validation()


def test_a_single_text_leaves_nothing_to_train_on(tmp_path):
    task = Babi(data_dir=folder(tmp_path / "data", qa1_train=TEXT, qa1_test=TEXT))
    with pytest.raises(DataError, match="its train set is empty"):
        task.validation()


def test_bad_values_are_refused():
    for types, message in [
        ([1, 21], r"task.types has 21, but bAbI has sets 1 to 20"),
        ([0], r"task.types has 0"),
        ([], r"task.types is empty"),
        ([3, 3], r"has a set twice"),
    ]:
        with pytest.raises(ConfigError, match=message):
            Babi(types=types)


def test_the_docstrings_example(tmp_path):
    drawn = " ".join(Babi.__doc__.split())
    assert all(" ".join(line.split()).replace("? ", "?") in drawn.replace("? ", "?")
               for line in TEXT.splitlines())  # fmt: skip
    task = Babi(data_dir=folder(tmp_path / "data", qa1_train=TEXT + TRAIN, qa1_test=TEXT))
    _, milk = (decoded(task, task.test(3), row) for row in range(2))
    assert milk[0].startswith("mary got the milk there .") and milk[2] == [0, 2]


def test_the_preset(make_task, data_dir):
    task = make_task("task=babi", f"task.data_dir={data_dir}", "task.types=[1]")
    assert isinstance(task, Babi) and task.types == ("qa1",)
    assert (task.dataset, task.hub_id) == ("babi", CATALOGUE["babi"].hub_id)
    assert task.solved_when == "no type with more than 5 % of the answers wrong (Weston et al., 2015)"
