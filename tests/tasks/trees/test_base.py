"""Trees: how they are written, and what is no tree."""

from __future__ import annotations

import math
from itertools import islice

import pytest
import torch

from seqbench.errors import ConfigError, DataError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes
from seqbench.tasks.trees.base import Node, TreeDataTask, Trees, check_trees, encode, nodes, written
from tests.tasks.batches import parts
from tests.tasks.trees.tree_reference import from_brackets, from_parents, rows_of

VOCABULARY = {
    token: number for number, token in enumerate(["_", "[", "]", "MAX", "MIN", *map(str, range(10))])
}
SPEC = Trees(len(VOCABULARY), children=3)
MIN = Node("MIN", (Node("7"), Node("4")))
DRAWN = Node("MAX", (Node("2"), MIN, Node("0")))


def batch_of(parents: list[list[int]], tokens: list[list[int]] | None = None, **more) -> Batch:
    places = torch.tensor(parents)
    return Batch(
        torch.full_like(places, 3) if tokens is None else torch.tensor(tokens),
        torch.zeros(len(places), dtype=torch.int64),
        extras={"parents": places},
        **more,
    )


def test_the_docstrings_example():
    tokens, parents = written(DRAWN)
    assert tokens == ["[", "MAX", "2", "[", "MIN", "7", "4", "]", "0", "]"]
    assert parents == [-2, -1, 1, -2, 1, 4, 4, -2, 1, -2]
    drawn = " ".join(str(parent).replace("-", "−") if parent > -2 else "." for parent in parents)
    docstring = " ".join(Trees.__doc__.split())
    assert " ".join(tokens) in docstring and drawn in docstring


def test_nodes_come_in_the_order_in_which_they_are_written():
    assert [node.token for node in nodes(DRAWN)] == ["MAX", "2", "MIN", "7", "4", "0"]
    assert list(nodes(Node("7"))) == [Node("7")]


def test_a_deep_tree_is_written_as_well():
    tree = Node("7")
    for _ in range(5000):
        tree = Node("MIN", (tree,))
    tokens, parents = written(tree)
    assert len(tokens) == 15_001 and parents[1] == -1 and parents[3] == 1 and parents[10_000] == 9_999


def test_trees_become_rows():
    batch = encode([DRAWN, Node("7"), MIN], [7, 7, 4], VOCABULARY, 11)
    assert batch.inputs.tolist() == [
        [1, 3, 7, 1, 4, 12, 9, 2, 5, 2, 0],
        [12] + [0] * 10,
        [1, 4, 12, 9, 2] + [0] * 6,
    ]
    assert batch.extras["parents"].tolist() == [
        [-2, -1, 1, -2, 1, 4, 4, -2, 1, -2, -2],
        [-1] + [-2] * 10,
        [-2, -1, 1, 1, -2] + [-2] * 6,
    ]
    assert batch.lengths.tolist() == [10, 1, 5] and batch.targets.tolist() == [7, 7, 4]
    assert batch.mask is None and all(part.dtype == torch.int64 for part in parts(batch).values())
    for (brackets, parents, _), tree in zip(rows_of(batch, VOCABULARY), [DRAWN, Node("7"), MIN], strict=True):
        assert brackets == parents == plain(tree)
    check_trees(batch, SPEC)


def plain(tree: Node) -> tuple:
    return (tree.token, *map(plain, tree.children))


def test_random_trees_come_back_from_brackets_and_from_parents():
    draw = torch.Generator().manual_seed(0)

    def grow(depth: int) -> Node:
        number = int(torch.randint(4, (), generator=draw)) if depth else 0
        return Node("MAX" if number else "7", tuple(grow(depth - 1) for _ in range(number)))

    trees = [grow(5) for _ in range(100)]
    sequences = [written(tree) for tree in trees]
    assert max(len(tokens) for tokens, _ in sequences) > 100
    for tree, (tokens, parents) in zip(trees, sequences, strict=True):
        assert from_brackets(tokens) == from_parents(tokens, parents) == plain(tree)
    check_trees(encode(trees, [0] * 100, VOCABULARY, max(len(tokens) for tokens, _ in sequences)), SPEC)


def test_what_cannot_be_put_into_tokens_is_refused():
    with pytest.raises(ConfigError, match=r"^The token 'MED' of a tree is not in the vocabulary\.$"):
        encode([Node("MAX", (Node("2"), Node("MED")))], [0], VOCABULARY, 20)
    with pytest.raises(ConfigError, match=r"^A tree has 10 tokens, but there is room for 9 at most\.$"):
        encode([MIN, DRAWN], [0, 0], VOCABULARY, 9)
    assert encode([DRAWN], [0], VOCABULARY, 10).inputs.shape == (1, 10)


GOOD = [-2, -1, 1, -2, 1, 4, 4, -2, 1, -2]
WRONG = {
    "is empty": ([-2] * 10, {"lengths": [10, 0]}),
    "has no root": ([-2, 2, 1, -2, 1, 4, 4, -2, 1, -2], {}),
    "has more than one root": ([-2, -1, 1, -2, -1, 4, 4, -2, 1, -2], {}),
    "has a node that does not follow its parent, as in a cycle": ([-2, -1, 4, -2, 2, 4, 4, -2, 1, -2], {}),
    "has a node whose parent is not a node": ([-2, -1, 1, -2, 3, 4, 4, -2, 1, -2], {}),
    "has a node with more than 3 children": ([-2, -1, 1, -2, 1, 1, 4, -2, 1, -2], {}),
    "has a node after its end": (GOOD, {"lengths": [10, 8]}),
}


@pytest.mark.parametrize(("parents", "more"), WRONG.values(), ids=WRONG)
def test_what_is_no_tree_is_refused(parents, more, request):
    wrong = request.node.callspec.id
    lengths = {name: torch.tensor(value) for name, value in more.items()}
    with pytest.raises(DataError, match=rf"^Row 1 of the trees {wrong}; give one tree for each row\.$"):
        check_trees(batch_of([GOOD, parents], **lengths), SPEC)
    check_trees(batch_of([GOOD, GOOD]), SPEC)


@pytest.mark.parametrize("parent", [-3, 12])
def test_a_parent_that_is_no_place_is_refused(parent):
    with pytest.raises(DataError, match=r"^Row 0 of the trees has a node "):
        check_trees(batch_of([[-2, -1, 1, parent, -2]]), SPEC)


@pytest.mark.parametrize("token", [-1, 15])
def test_a_token_that_is_not_in_the_vocabulary_is_refused(token):
    with pytest.raises(
        DataError, match=r"^Row 0 of the trees has a token that is not among the 15 of the voc"
    ):
        check_trees(batch_of([[-2, -1, 1, 1, -2]], [[1, 3, token, 5, 2]]), SPEC)
    check_trees(batch_of([[-2, -1, 1, 1, -2]], [[1, 3, 14, 5, 2]]), SPEC)


def test_a_batch_that_tells_no_parents_is_refused():
    good = batch_of([GOOD])
    for extras in ({}, {"parents": good.extras["parents"][:, :-1]}):
        with pytest.raises(DataError, match="must name the parent of every token"):
            check_trees(good._replace(extras=extras), SPEC)


class Sums(TreeDataTask):
    """Chains of many lengths; the class is that of their length."""

    title = "chains"
    vocabulary = VOCABULARY
    length = 40
    eval_lengths = (40,)
    targets = Classes(3, per_step=False)

    def __init__(self, examples: dict[str, list[tuple[Node, int]]]) -> None:
        self._examples = examples

    @property
    def examples(self):
        return self._examples

    def solved(self, metrics):
        return False


def chain(length: int, leaf: str = "7") -> Node:
    return Node("MIN", (chain(length - 1, leaf),)) if length else Node(leaf)


@pytest.fixture
def chains() -> Sums:
    sizes = torch.randint(40, (300,), generator=torch.Generator().manual_seed(0)).tolist()
    train = [(chain(n, str(i % 10)), min(n // 10, 1)) for i, n in enumerate(sizes)]
    return Sums({"train": train, "validation": [(MIN, 2)], "test": [(DRAWN, 0), (MIN, 1), (chain(3), 1)]})


def test_batches_of_a_fixed_set_hold_trees_of_similar_size(chains):
    batches = list(islice(chains.train_batches(0, 32), 18))
    padding = 1 - sum(int(b.lengths.sum()) for b in batches) / sum(b.inputs.numel() for b in batches)
    assert padding < 0.1
    assert len({batch.inputs.shape for batch in batches[:9]}) > 5
    for batch in batches:
        assert batch.inputs.shape == batch.extras["parents"].shape == (32, int(batch.lengths.max()))
        check_trees(batch, chains.inputs)
        for brackets, parents, target in rows_of(batch, VOCABULARY):
            assert brackets == parents and target == min((tokens_in(brackets) - 1) // 10, 1)
    for batch, other in zip(batches, chains.train_batches(1, 32), strict=False):
        assert batch.inputs.shape == other.inputs.shape  # of any seed: they can be stacked


def tokens_in(tree: tuple) -> int:
    return 1 + sum(map(tokens_in, tree[1:]))


def test_specs_and_baseline_of_a_fixed_set(chains):
    assert chains.inputs == Trees(15, children=3) and chains.kind == "tree"
    assert chains.steps == chains.train.inputs.shape[1] == 3 * 39 + 1
    assert chains.validation().inputs.shape == (1, 5) and chains.test(40).lengths.tolist() == [10, 5, 10]
    counts = torch.bincount(chains.train.targets, minlength=3)
    expected = -(math.log((counts[0] + 1) / 303) + 2 * math.log((counts[1] + 1) / 303)) / 3
    assert counts[2] == 0 and chains.baseline_loss(40) == pytest.approx(expected)
    for ask in (chains.test, chains.baseline_loss):
        with pytest.raises(
            ConfigError, match=r"chains is read whole, with trees of up to 40, .* none at 41\."
        ):
            ask(41)


def test_trees_are_looked_at_before_training(chains):
    chains.prepare(300)
    with pytest.raises(ConfigError, match="batch_size=301 is more than the 300"):
        chains.prepare(301)
    chains.inputs = Trees(15, children=1)
    with pytest.raises(DataError, match="Row 0 of the trees has a node with more than 1 children"):
        chains.prepare(10)
