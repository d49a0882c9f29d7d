"""What tasks share whose inputs are trees."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from seqbench.errors import ConfigError, DataError
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Tokens
from seqbench.tasks.streams.bucketed import BucketTask
from seqbench.tasks.streams.fixed import loss_by_frequency

#: The token of what follows the end of a shorter sequence, and those around a node that has children.
PADDING, OPEN, CLOSE = "_", "[", "]"
#: The tokens that are no nodes; they come first in every vocabulary.
MARKS = (PADDING, OPEN, CLOSE)
#: What `extras["parents"]` says at the root, and where a token is no node.
ROOT, NO_NODE = -1, -2


@dataclass(frozen=True)
class Trees(Tokens):
    """Input spec: a tree, written as a sequence of tokens with brackets.

        [ MAX 2 [ MIN 7 4 ] 0 ]       tokens, of which brackets are no nodes
        . −1  1 . 1   4 4 . 1 .       parents, by their place (`extras["parents"]`); −1 is the root's, . is −2

    Children follow their parent, in their order. A model of sequences reads the tokens, a model of trees
    those that are nodes.

    size: tokens there are.
    children: the most that a node has.
    """

    children: int

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"children": self.children}


class Node(NamedTuple):
    """A node of a tree, and all that hangs on it."""

    token: str
    children: tuple[Node, ...] = ()


class TreeTask(Task):
    """A task of saying something about a tree."""

    kind: ClassVar[str] = "tree"

    inputs: Trees

    def prepare(self, batch_size: int) -> None:
        super().prepare(batch_size)
        check_trees(self.validation(), self.inputs)


class TreeDataTask(TreeTask, BucketTask):
    """A task over a fixed set of trees, each of one class; those of a batch are of similar size."""

    #: The data set's name, for messages.
    title: str

    @property
    @abstractmethod
    def examples(self) -> Mapping[str, Sequence[tuple[Node, int]]]:
        """The trees of `train`, `validation` and `test`, each with its class."""

    @property
    @abstractmethod
    def vocabulary(self) -> Mapping[str, int]:
        """The number of each token."""

    @cached_property
    def inputs(self) -> Trees:  # type: ignore[override]  # an attribute that is set once asked for
        trees = [tree for found in self.examples.values() for tree, _ in found]
        return Trees(len(self.vocabulary), max(len(node.children) for tree in trees for node in nodes(tree)))

    @property
    def steps(self) -> int:
        return self._longest("train")

    @cached_property
    def train(self) -> Batch:
        return self._batch("train")

    @property
    def sizes(self) -> Int[Tensor, "N 1"]:
        assert self.train.lengths is not None
        return self.train.lengths[:, None]

    def cut(self, batch: Batch, *size: int) -> Batch:
        (longest,) = size
        parents = batch.extras["parents"][:, :longest]
        return batch._replace(inputs=batch.inputs[:, :longest], extras={"parents": parents})

    def validation(self) -> Batch:
        return self._batch("validation")

    def test(self, length: int) -> Batch:
        self._check(length)
        return self._batch("test")

    def baseline_loss(self, length: int) -> float:
        """Return the loss of the classes' frequencies in training, see `loss_by_frequency`."""
        self._check(length)
        train, test = ([class_ for _, class_ in self.examples[split]] for split in ("train", "test"))
        return loss_by_frequency(train, test, self.targets.size)

    def _check(self, length: int) -> None:
        self.check_whole(length, self.title, f"trees of up to {self.length}")

    def _longest(self, split: str) -> int:
        return max(len(written(tree)[0]) for tree, _ in self.examples[split])

    def _batch(self, split: str) -> Batch:
        trees, classes = zip(*self.examples[split], strict=True)
        return encode(trees, classes, self.vocabulary, self._longest(split))


def nodes(tree: Node) -> Iterator[Node]:
    """Yield all nodes of a tree, parents before their children."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        left.extend(reversed(node.children))


def written(tree: Node) -> tuple[list[str], list[int]]:
    """Return a tree as tokens with brackets, and for each of these the place of its parent."""
    tokens: list[str] = []
    parents: list[int] = []
    # What is left to be written, the next one last; None is a bracket that closes.
    left: list[tuple[Node | None, int]] = [(tree, ROOT)]
    while left:
        node, parent = left.pop()
        if node is None:
            tokens.append(CLOSE)
            parents.append(NO_NODE)
            continue
        if node.children:
            tokens.append(OPEN)
            parents.append(NO_NODE)
            left.append((None, NO_NODE))
        place = len(tokens)
        tokens.append(node.token)
        parents.append(parent)
        left.extend((child, place) for child in reversed(node.children))
    return tokens, parents


def encode(
    trees: Sequence[Node], targets: Sequence[int], vocabulary: Mapping[str, int], longest: int
) -> Batch:
    """Put trees into tokens.

    Args:
        trees: to be put.
        targets: the class of each.
        vocabulary: the number of each token; padding is 0.
        longest: tokens of the longest sequence, to which all are padded.

    Raises:
        ConfigError: a token is not known, or a tree has more of them than `longest`.
    """
    rows, places, lengths = [], [], []
    for tree in trees:
        tokens, parents = written(tree)
        more = longest - len(tokens)
        if more < 0:
            raise ConfigError(
                f"A tree has {len(tokens)} tokens, and {longest} is the most there is room for."
            )
        try:
            rows.append([vocabulary[token] for token in tokens] + [0] * more)
        except KeyError as error:
            raise ConfigError(f"The token {error} of a tree is not in the vocabulary.") from None
        places.append(parents + [NO_NODE] * more)
        lengths.append(len(tokens))
    return Batch(
        torch.tensor(rows),
        torch.tensor(targets),
        lengths=torch.tensor(lengths),
        extras={"parents": torch.tensor(places)},
    )


def check_trees(batch: Batch, spec: Trees) -> None:
    """See that every row of a batch is one tree, written as the spec says.

    Raises:
        DataError: it is not; the message names the first row where something is wrong, and what.
    """
    tokens, parents = batch.inputs, batch.extras.get("parents")
    if parents is None or parents.shape != tokens.shape:
        raise DataError("A batch of trees must say the parent of every token; give it parents.")
    steps = tokens.shape[1]
    lengths = torch.full((len(tokens),), steps) if batch.lengths is None else batch.lengths
    place = torch.arange(steps)
    is_node, has_parent = parents != NO_NODE, parents >= 0
    above = parents.clamp(0, max(steps - 1, 0))
    children = torch.zeros_like(parents).scatter_add(1, above, has_parent.long())
    roots = (parents == ROOT).sum(1, keepdim=True)
    wrongs = {
        "is empty": lengths[:, None] < 1,
        f"has a token that is not among the {spec.size} of the vocabulary": (tokens < 0)
        | (tokens >= spec.size),
        "has no root": roots == 0,
        "has more than one root": roots > 1,
        "has a node after its end": is_node & (place >= lengths[:, None]),
        "has a node that does not follow its parent, as in a cycle": has_parent & (parents >= place),
        "has a node whose parent is none": parents.lt(NO_NODE) | (has_parent & ~is_node.gather(1, above)),
        f"has a node with more than {spec.children} children": children > spec.children,
    }
    for wrong, where in wrongs.items():
        rows = where.any(1).nonzero()
        if len(rows):
            raise DataError(f"Row {int(rows[0])} of the trees {wrong}; give one tree for each row.")
