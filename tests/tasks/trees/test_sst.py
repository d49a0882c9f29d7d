"""SST: trees as the treebank's files have them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from seqbench.errors import DataError
from seqbench.tasks.trees.base import Node, Trees
from seqbench.tasks.trees.sst import FILES, SST, read_tree, read_trees
from tests.tasks.trees.tree_reference import rows_of

DRAWN = "(3 (2 (2 a) (2 film)) (3 (2 worth) (3 seeing)))"
TRAIN = [
    DRAWN,
    "(0 (2 (2 A) (2 film)) (1 (2 worth) (0 nothing)))",
    "(4 (2 Seeing) (4 (4 wonders) (2 .)))",
    "(2 (2 nothing) (2 .))",
    "(1 nothing)",
    "(1 (2 [) (2 .))",
]
DEV = ["(4 (4 wonders) (2 film))", "(2 (2 a) (2 _))"]
TEST = ["(1 (2 (2 a) (2 bore)) (2 .))", "(3 seeing)", "(2 .)"]


def folder(data_dir: Path, **files: list[str]) -> Path:
    (data_dir / "sst").mkdir(parents=True)
    for name, lines in files.items():
        (data_dir / "sst" / f"{name}.txt").write_text(
            "".join(f"{line}\n" for line in lines), encoding="utf-8"
        )
    return data_dir


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", train=TRAIN, dev=DEV, test=TEST)


def decoded(task: SST, batch) -> list[tuple[str, int]]:
    """Return each row's tree, as a nest of brackets, and its class."""

    def text(tree: tuple) -> str:
        name, *children = tree
        return f"({' '.join(map(text, children))})" if children else name

    found = []
    for brackets, parents, target in rows_of(batch, task.vocabulary):
        assert brackets == parents
        inner = [brackets]
        while inner:
            name, *children = inner.pop()
            assert (name == "<phrase>") is bool(children)
            inner.extend(children)
        found.append((text(brackets), target))
    return found


def test_a_line_is_read():
    film = Node("<phrase>", (Node("a"), Node("film")))
    worth = Node("<phrase>", (Node("worth"), Node("seeing")))
    assert read_tree(DRAWN) == (Node("<phrase>", (film, worth)), 3)
    assert read_tree("(0 Bad)") == (Node("bad"), 0)
    assert read_tree("  (2 (1 ( 2 -LRB- ) ( 2 x)(2 y) ) )") == (
        Node("<phrase>", (Node("<phrase>", (Node("-lrb-"), Node("x"), Node("y"))),)),
        2,
    )


def test_the_docstrings_example(tmp_path):
    task = SST(data_dir=folder(tmp_path / "data", train=[DRAWN, DRAWN], dev=[DRAWN], test=[DRAWN]))
    batch = task.test(4)
    token_of = {number: token for token, number in task.vocabulary.items()}
    tokens = " ".join(token_of[token] for token in batch.inputs[0].tolist())
    assert DRAWN in SST.__doc__ and f"{tokens}      class 3, positive" in SST.__doc__
    assert batch.targets.tolist() == [3]


def test_splits_and_what_they_hold(data_dir):
    """Words that training has but once are one, and so is what would be taken for a bracket or padding."""
    task = SST(data_dir=data_dir)
    once = "<unknown>"
    assert decoded(task, task.train) == [
        ("((a film) (worth seeing))", 3),
        ("((a film) (worth nothing))", 0),
        (f"(seeing ({once} .))", 4),
        ("(nothing .)", 2),
        ("nothing", 1),
        (f"({once} .)", 1),
    ]
    assert decoded(task, task.validation()) == [(f"({once} film)", 4), (f"(a {once})", 2)]
    assert decoded(task, task.test(4)) == [(f"((a {once}) .)", 1), ("seeing", 3), (".", 2)]


def test_without_neutral_sentences_there_are_two_classes(data_dir):
    task = SST(classes=2, data_dir=data_dir)
    assert [target for _, target in decoded(task, task.train)] == [1, 0, 1, 0, 0]
    assert [target for _, target in decoded(task, task.validation())] == [1]
    assert [target for _, target in decoded(task, task.test(4))] == [0, 1]
    assert task.targets.size == 2 and task.variant == "binary"
    assert task.solved({"accuracy": 0.88}) and not task.solved({"accuracy": 0.8799})


def test_specs(data_dir):
    task = SST(data_dir=data_dir)
    assert task.inputs == Trees(len(task.vocabulary), children=2) and task.kind == "tree"
    assert list(task.vocabulary)[:5] == ["_", "[", "]", "<phrase>", "<unknown>"]
    assert set(list(task.vocabulary)[5:]) == {"a", "film", "worth", "seeing", "nothing", "."}
    assert task.length == 4 and task.eval_lengths == (4,) and task.steps == 13
    assert task.targets.size == 5 and not task.targets.per_step and task.variant == "fine-grained"
    assert task.solved({"accuracy": 0.51}) and not task.solved({"accuracy": 0.5099})
    expected = (
        -(math.log(3 / 11) + 2 * math.log(2 / 11)) / 3
    )  # of 6 sentences two are of class 1, all others one
    assert task.baseline_loss(4) == pytest.approx(expected)
    task.prepare(6)
    with torch.device("meta"):  # a model can be counted without being made
        assert SST(data_dir=data_dir).steps == 13


def test_nothing_is_read_before_use(tmp_path):
    task = SST(data_dir=tmp_path)
    for use in (lambda: task.inputs, lambda: task.train, task.validation, lambda: task.prepare(1)):
        with pytest.raises(DataError) as caught:
            use()
        message = str(caught.value)
        assert message.startswith(
            f"There is no {tmp_path / 'sst' / 'train.txt'}; put train.txt, dev.txt, test.txt"
        )
        assert message.endswith("trainDevTestTrees_PTB.zip at https://nlp.stanford.edu/sentiment.")


@pytest.mark.parametrize("missing", FILES.values())
def test_a_missing_file_is_named(data_dir, missing):
    (data_dir / "sst" / missing).unlink()
    with pytest.raises(DataError, match=rf"^There is no .*sst.{missing}; put "):
        SST(data_dir=data_dir).validation()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "it is empty"),
        ("(2 )", "a node must hold either one word or other nodes"),
        ("(2 (2 good) film)", "a node must hold either one word or other nodes"),
        ("(2 good film)", "a node must hold either one word or other nodes"),
        ("(2 (2 good) (2 film)) (3 x)", "something follows the end of the tree, which has one root"),
        ("(2 (2 good) (2 film)))", "something follows the end of the tree, which has one root"),
        ("(2 (2 good) (2 film)", "a bracket is not closed"),
        ("(5 good)", "there is '5' in place of a label from 0 to 4"),
        ("((2 good))", r"there is '\(' in place of a label from 0 to 4"),
        ("(", "there is '' in place of a label from 0 to 4"),
        ("good (2 film)", "it does not begin with a bracket"),
        (")", "it does not begin with a bracket"),
    ],
)
def test_a_line_that_is_no_tree_is_an_error(data_dir, line, reason):
    path = data_dir / "sst" / "dev.txt"
    path.write_text(f"{DEV[0]}\n{line}\n{DEV[1]}\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"^Line 2 of .*dev.txt is not one tree .*: {reason}\.$"):
        SST(data_dir=data_dir).validation()


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\u2028", "\x85", "\x1c"])
def test_a_word_may_hold_white_space_that_is_no_plain_blank(data_dir, blank):
    """The treebank's line 4,342 has the word 8 1\\/2, with a blank that does not break."""
    path = data_dir / "sst" / "dev.txt"
    path.write_text(f"(2 (2 like) (3 8{blank}1\\/2))\n", encoding="utf-8", newline="")
    ((tree, label),) = read_trees(path)
    assert label == 2 and [node.token for node in tree.children] == ["like", f"8{blank}1\\/2"]


def test_new_trees_are_lines_of_the_treebank_or_tokens_with_brackets(data_dir, capsys):
    task = SST(data_dir=data_dir)
    given = task.read(["(4 (2 A) (3 (2 bore) (2 Film)))", "[ <phrase> a [ <phrase> bore FILM ] ]"])
    names = task.token_names()[0]
    assert "lengths" not in given and given["inputs"][0].tolist() == given["inputs"][1].tolist()
    told = " ".join(names[token] for token in given["inputs"][0])
    assert told == "[ <phrase> a [ <phrase> <unknown> film ] ]"
    assert capsys.readouterr().err == "seqbench: training has no bore: 2 of the tokens are <unknown>.\n"
    assert given["parents"][0].tolist() == [-2, -1, 1, -2, 1, 4, 4, -2, -2]
    with pytest.raises(
        DataError, match=r"^'\(4 film' is no tree .* \(2 film\)\): a bracket is not closed\.$"
    ):
        task.read(["(4 film"])


def test_what_is_said_of_the_data(data_dir):
    assert SST(data_dir=data_dir).about() == {"examples": "6 train, 2 validation, 3 test"}


def test_a_file_that_cannot_be_used_is_an_error(data_dir):
    path = data_dir / "sst" / "test.txt"
    path.write_text("(2 neutral)\n", encoding="utf-8")
    assert len(SST(data_dir=data_dir).test(4).inputs) == 1
    with pytest.raises(DataError, match=r"test.txt has no sentence with a class; put the treebank's own"):
        SST(classes=2, data_dir=data_dir).validation()
    path.write_bytes(b"(2 caf\xe9)\n")
    with pytest.raises(DataError, match=r"test.txt cannot be read .*; put the treebank's own file there"):
        read_trees(path)


def test_the_preset(make_task, data_dir):
    task = make_task("task=sst", f"task.data_dir={data_dir}", "task.classes=2")
    assert isinstance(task, SST) and task.dataset == "sst" and task.targets.size == 2
    assert make_task("task=sst").solved_when == (
        "51 % of the sentences right, the mark of the constituency tree-LSTM (Tai et al., 2015)"
    )
