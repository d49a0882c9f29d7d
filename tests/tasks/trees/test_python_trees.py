"""Python trees: read from small files, then from Python's own library."""

from __future__ import annotations

import ast
import math
import platform
import sysconfig
import textwrap
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from seqbench.errors import ConfigError, DataError
from seqbench.tasks.trees.base import Node, nodes, written
from seqbench.tasks.trees.python_trees import (
    OTHER,
    PythonTrees,
    functions_of,
    is_nested,
    matched,
    read_functions,
    size_of,
    tree_of,
)
from tests.tasks.trees.tree_reference import rows_of, tokens_of

NESTED = "def f(x):\n    return g(h(x))\n"
FLAT = "def f(x):\n    g(x)\n    return h(x)\n"


def parsed(source: str) -> Node:
    return tree_of(ast.parse(textwrap.dedent(source)).body[0])


def has_call_in_call(tree: tuple) -> bool:
    """Say whether a call stands within another, looking down from each call."""
    name, *children = tree
    return (name == "Call" and any(map(has_call, children))) or any(map(has_call_in_call, children))


def has_call(tree: tuple) -> bool:
    return tree[0] == "Call" or any(map(has_call, tree[1:]))


def test_the_docstrings_example():
    drawn = PythonTrees.__doc__
    for source, nested in [(NESTED, True), (FLAT, False)]:
        tree = parsed(source)
        assert " ".join(written(tree)[0]) in drawn and is_nested(tree) is nested
        assert all(line in drawn for line in source.splitlines())
        assert f"{source.splitlines()[-1].strip()}{' ' * (8 if nested else 11)}class {int(nested)}" in drawn


@pytest.mark.parametrize(
    ("body", "nested"),
    [
        ("a(b)(c)", True),
        ("a.b(c).d(e)", True),
        ("a(b, *[c + d(e)])", True),
        ("a(lambda: b(c))", True),
        ("a(b); c(d)", False),
        ("a(b) + c(d)", False),
        ("[a(b), c(d)]", False),
        ("if a(b): c(d)", False),
    ],
)
def test_what_is_nested(body, nested):
    tree = parsed(f"def f():\n    {body}\n")
    assert is_nested(tree) is nested and sum(node.token == "Call" for node in nodes(tree)) == 2


def test_trees_are_those_of_ast_without_contexts():
    tree = parsed("def f(x, y=1):\n    x.a[0] += -y\n")
    target = Node("Subscript", (Node("Attribute", (Node("Name"),)), Node("Constant")))
    value = Node("UnaryOp", (Node("USub"), Node("Name")))
    arguments = Node("arguments", (Node("arg"), Node("arg"), Node("Constant")))
    assert tree == Node("FunctionDef", (arguments, Node("AugAssign", (target, Node("Add"), value))))
    syntax = ast.parse("def f(x):\n    return g(h(x))\n").body[0]
    assert size_of(syntax, 100) == 9 == sum(1 for _ in nodes(tree_of(syntax)))
    assert size_of(syntax, 9) == 9 and size_of(syntax, 8) > 8


def test_functions_within_others_are_part_of_these(tmp_path):
    path = tmp_path / "code.py"
    path.write_text(
        "def first():\n    def inner(): pass\n"
        "class A:\n    def second(self): pass\n    class B:\n        async def third(self): pass\n"
        "if x:\n    def fourth(): pass\nelse:\n    def fifth(): '\\d'\n"
        "try:\n    pass\nexcept E:\n    def sixth(): pass\n"
    )
    names = [function.name for function in functions_of(path)]
    assert names == ["first", "second", "third", "fourth", "fifth", "sixth"]
    for broken in ("def f(:\n", "print 'x'\n", "x = '\0'\n"):
        path.write_text(broken)
        assert not list(functions_of(path))
    path.write_bytes(b"# \xff\n")
    assert not list(functions_of(path))


def test_functions_are_of_some_size_and_different(tmp_path):
    code = {
        "a.py": NESTED
        + NESTED.replace("f(", "again(")
        + "def tiny(): pass\n"
        + "def many(): g([0, 1, 2, 3])\n",
        "below/b.py": FLAT + "def long():\n" + "    x + 1\n" * 5,
        "test/c.py": "def left_out(): return x + 1\n",
        "tests/d.py": "def left_out(): return x * 1\n",
    }
    for name, source in code.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    many = parsed("def many(): g([0, 1, 2, 3])")
    wide = parsed("def long():\n" + "    x + 1\n" * 5)
    assert len(wide.children) == 6
    assert read_functions(tmp_path, 100, 10, 60) == (parsed(NESTED), many, parsed(FLAT), wide)
    assert read_functions(tmp_path, 100, 4, 60) == (parsed(NESTED), many, parsed(FLAT))
    assert read_functions(tmp_path, 100, 3, 60) == (parsed(NESTED), parsed(FLAT))
    assert read_functions(tmp_path, 9, 3, 60) == (parsed(NESTED),)
    (only,) = read_functions(tmp_path, 9, 3, 1)  # the most frequent, and what is asked about
    assert Counter(node.token for node in nodes(only)) == {"Name": 3, "Call": 2, OTHER: 4}


def function(*calls: str, more: int = 0) -> Node:
    return parsed("def f():\n" + "".join(f"    {call}\n" for call in (*calls, *["x"] * more)))


def test_pairs_have_as_many_calls():
    two, three = function("a(b(c))"), function("a(b(c))", "d(e)")
    flat_two, flat_three = function("a(b)", "c(d)"), function("a(b)", "c(d)", "e(f)")
    alone, none = function("a(b(c(d(e))))"), function("a(b)", more=1)
    every = [none, flat_three, two, alone, flat_two, three]
    assert not matched([two, flat_three, none]) and not matched([two, three]) and not matched([])
    pairs = matched(every)
    assert pairs == matched(every[::-1])
    counts = [[sum(node.token == "Call" for node in nodes(tree)) for tree in pair] for pair in pairs]
    assert all(a == b for a, b in counts) and all(is_nested(a) and not is_nested(b) for a, b in pairs)


def test_too_few_functions_are_an_error(tmp_path):
    with pytest.raises(
        DataError, match=r"^There is no Python file in .*; give task.folder one that has some\.$"
    ):
        PythonTrees(folder=tmp_path).validation()
    (tmp_path / "a.py").write_text(NESTED + FLAT)
    with pytest.raises(
        DataError, match=r"too few functions .*, and the train set is empty; give task.folder"
    ):
        PythonTrees(folder=tmp_path).inputs  # noqa: B018


def test_bad_values_are_refused():
    for bad, message in [
        ({"length": 4}, r"task.length=4 is too few; give at least 5"),
        ({"max_children": 1}, r"task.max_children=1 is too few; give at least 2"),
        ({"types": 0}, r"task.types=0 is too few; give at least 1"),
    ]:
        with pytest.raises(ConfigError, match=message):
            PythonTrees(**bad)


#: Packages of Python's library with some thousand functions.
PACKAGES = ("asyncio", "email", "http", "importlib", "json", "logging", "multiprocessing", "tkinter", "xml")


@pytest.fixture(scope="module", params=["part", pytest.param("whole", marks=pytest.mark.slow)])
def task(request, tmp_path_factory) -> PythonTrees:
    """The functions of a part of Python's library, or of all of it."""
    if request.param == "whole":
        return PythonTrees()
    library, folder = Path(sysconfig.get_path("stdlib")), tmp_path_factory.mktemp("library")
    for path in (path for name in PACKAGES for path in (library / name).rglob("*.py")):
        link = folder / path.relative_to(library)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return PythonTrees(folder=folder)


def splits(task: PythonTrees) -> dict:
    return {"train": task.train, "validation": task.validation(), "test": task.test(100)}


@pytest.mark.slow
def test_classes_are_those_of_the_trees_and_equally_many(task):
    sizes = {}
    for split, batch in splits(task).items():
        for brackets, parents, target in rows_of(batch, task.vocabulary):
            assert brackets == parents and has_call_in_call(brackets) == bool(target)
        counts = batch.targets.bincount()
        assert counts[0] == counts[1]
        sizes[split] = len(batch.inputs)
    least = 2000 if task.folder is None else 400
    assert sizes["train"] > least and min(sizes["validation"], sizes["test"]) > least / 10
    assert task.baseline_loss(100) == pytest.approx(math.log(2))


def test_trees_are_of_the_sizes_asked_for_and_all_different(task):
    rows = [row for batch in splits(task).values() for row in rows_of(batch, task.vocabulary)]
    trees = [tree for tree, _, _ in rows]
    assert len(set(trees)) == len(trees)  # so that no test tree was trained on

    def each(tree: tuple):
        yield tree
        for child in tree[1:]:
            yield from each(child)

    every = [list(each(tree)) for tree in trees]
    assert min(map(len, every)) >= 5 and max(map(len, every)) == 100
    widest = max(len(node) - 1 for found in every for node in found)
    assert task.inputs.children == widest <= 10
    assert task.inputs.size == len(task.vocabulary) <= 3 + 60 + 1
    assert {node[0] for found in every for node in found} == set(task.vocabulary) - {"_", "[", "]"}
    assert task.steps == max(tokens_of(tree) for tree, _, _ in rows_of(task.train, task.vocabulary))
    assert all(tree[0] in ("FunctionDef", "AsyncFunctionDef", OTHER) for tree in trees)


def test_splits_do_not_change(task):
    twin = PythonTrees(folder=task.folder)
    assert torch.equal(task.test(100).inputs, twin.test(100).inputs)
    assert PythonTrees().variant == f"nested calls, Python {platform.python_version()}"


def test_tokens_without_their_places_do_not_tell_the_class(task):
    """The best linear guess from how often each type occurs, fitted to the training set, against chance."""

    def bag(batch) -> torch.Tensor:
        counts = F.one_hot(batch.inputs, task.inputs.size).sum(1)[:, 1:].double()
        return torch.cat([counts, torch.ones(len(counts), 1)], 1)

    guess = torch.linalg.lstsq(bag(task.train), task.train.targets.double()[:, None], driver="gelsd").solution
    right = []
    for batch in (task.validation(), task.test(100)):
        right += (((bag(batch) @ guess)[:, 0] > 0.5) == (batch.targets == 1)).tolist()
        calls = (batch.inputs == task.vocabulary["Call"]).sum(1)
        nested = calls[batch.targets == 1].sort().values
        assert torch.equal(nested, calls[batch.targets == 0].sort().values) and nested.min() == 2
    assert sum(right) / len(right) == pytest.approx(0.5, abs=0.08 if task.folder is None else 0.15)


def test_batches_are_hardly_padded(task):
    steps = len(task.train.inputs) // 32
    batches = list(islice(task.train_batches(0, 32), steps))
    padding = 1 - sum(int(b.lengths.sum()) for b in batches) / sum(b.inputs.numel() for b in batches)
    assert padding < 0.1
    seen = Counter(
        bytes(row) for b in batches for row in F.pad(b.inputs, (0, 250 - b.inputs.shape[1])).byte().numpy()
    )
    assert max(seen.values()) == 1 and len(seen) == 32 * steps
    task.prepare(32)


def test_the_preset(make_task, tmp_path):
    built = make_task("task=python_trees", f"task.folder={tmp_path}")
    assert isinstance(built, PythonTrees) and built.length == 100 and built.eval_lengths == (100,)
    assert built.variant == f"nested calls, {tmp_path}" and built.solved_when.startswith("95 % right")
    assert built.solved({"accuracy": 0.95}) and not built.solved({"accuracy": 0.9499})
    with pytest.raises(ConfigError, match=r"Python's functions is read whole, .* none at 50\."):
        built.test(50)
