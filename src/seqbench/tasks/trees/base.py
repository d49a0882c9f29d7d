"""What the tasks over trees share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch

from seqbench.errors import ConfigError, DataError
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Tokens
from seqbench.tasks.streams.bucketed import BucketTask

#: The token after the end of a shorter sequence, and the brackets around a node that has children.
PADDING, OPEN, CLOSE = "_", "[", "]"
#: The tokens that are not nodes; they come first in every vocabulary.
MARKS = (PADDING, OPEN, CLOSE)
#: The entry of `extras["parents"]` at the root, and at a token that is not a node.
ROOT, NO_NODE = -1, -2


@dataclass(frozen=True)
class Trees(Tokens):
    """Input spec: a tree, written as a sequence of tokens with brackets.

        [ MAX 2 [ MIN 7 4 ] 0 ]       tokens; brackets are not nodes
        . −1  1 . 1   4 4 . 1 .       the place of each parent (`extras["parents"]`, (B, T)); . is −2

    The root has −1 as its parent. Children follow their parent, in order. A model of sequences reads all
    tokens, a model of trees reads the nodes.

    size: the number of tokens.
    children: the most children of a node.
    """

    children: int

    @property
    def in_words(self) -> str:
        return f"a tree of nodes with up to {self.children} children, {self.size} symbols in all"

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"children": self.children}


class Node(NamedTuple):
    """A node of a tree, with its subtrees."""

    token: str
    children: tuple[Node, ...] = ()


class TreeTask(Task):
    """A task over trees."""

    kind: ClassVar[str] = "tree"

    inputs: Trees

    def read(self, sequences: Sequence[Any]) -> dict[str, Any]:
        """Return new trees, written with brackets, as `inputs`, `lengths` and `parents`."""
        given = super().read(sequences)
        names = self.token_names()[0]
        steps = given["inputs"].shape[1]
        lengths = given.get("lengths", torch.full((len(given["inputs"]),), steps))
        places = [
            parents([names[token] for token in row[:length]]) + [NO_NODE] * (steps - int(length))
            for row, length in zip(given["inputs"].tolist(), lengths, strict=True)
        ]
        given["parents"] = torch.tensor(places)
        check_trees(
            Batch(given["inputs"], lengths, lengths=lengths, extras={"parents": given["parents"]}),
            self.inputs,
        )
        return given

    def prepare(self, batch_size: int) -> None:
        super().prepare(batch_size)
        check_trees(self.validation(), self.inputs)


class TreeDataTask(TreeTask, BucketTask):
    """A task of classifying the trees of a fixed set; those of a batch have similar sizes."""

    contents = "trees of up to {}"

    @property
    @abstractmethod
    def examples(self) -> Mapping[str, Sequence[tuple[Node, int]]]:
        """The trees of `train`, `validation` and `test`, each with its class."""

    @property
    @abstractmethod
    def vocabulary(self) -> Mapping[str, int]:
        """The number of each token."""

    @cached_property
    def inputs(self) -> Trees:  # type: ignore[override]  # a plain attribute elsewhere
        trees = [tree for found in self.examples.values() for tree, _ in found]
        return Trees(len(self.vocabulary), max(len(node.children) for tree in trees for node in nodes(tree)))

    def about(self) -> dict[str, str]:
        return {"examples": ", ".join(f"{len(found):,} {split}" for split, found in self.examples.items())}

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return list(self.vocabulary), super().token_names()[1]

    @property
    def steps(self) -> int:
        return self._longest("train")

    def cut(self, batch: Batch, *size: int) -> Batch:
        (longest,) = size
        cut = batch._replace(inputs=batch.inputs[:, :longest])
        return cut.with_extras(parents=batch.extras["parents"][:, :longest])

    def read_split(self, split: str) -> Batch:
        trees, classes = zip(*self.examples[split], strict=True)
        return encode(trees, classes, self.vocabulary, self._longest(split))

    def _longest(self, split: str) -> int:
        """Return the tokens of a split's longest tree."""
        return max(len(written(tree)[0]) for tree, _ in self.examples[split])


def nodes(tree: Node) -> Iterator[Node]:
    """Yield all nodes of a tree, parents before their children."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        left.extend(reversed(node.children))


def written(tree: Node) -> tuple[list[str], list[int]]:
    """Return a tree as tokens with brackets, and the place of each token's parent."""
    tokens: list[str] = []
    parents: list[int] = []
    # A stack of what is left to write; None is a closing bracket.
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


def parents(tokens: Sequence[str]) -> list[int]:
    """Return the place of each token's parent, from the brackets: what `written` returns beside the tokens.

    Raises:
        DataError: a bracket has no partner.
    """
    found: list[int] = []
    above: list[int] = []  # the nodes whose brackets are open
    for place, token in enumerate(tokens):
        if token == CLOSE and not above:
            raise DataError(f"The tree {' '.join(tokens)} closes a bracket that it has not opened.")
        if token in (OPEN, CLOSE):
            found.append(NO_NODE)
        else:
            found.append(above[-1] if above else ROOT)
        if token == CLOSE:
            above.pop()
        elif token != OPEN and place and tokens[place - 1] == OPEN:
            above.append(place)
    if above or tokens[-1:] == [OPEN]:
        raise DataError(f"The tree {' '.join(tokens)} leaves a bracket open.")
    return found


def encode(
    trees: Sequence[Node], targets: Sequence[int], vocabulary: Mapping[str, int], longest: int
) -> Batch:
    """Encode trees as tokens and parents.

    Args:
        trees: the trees to encode.
        targets: the class of each.
        vocabulary: the number of each token; padding is 0.
        longest: the tokens to which all sequences are padded.

    Raises:
        ConfigError: a token is unknown, or a tree has more than `longest` tokens.
    """
    rows, places, lengths = [], [], []
    for tree in trees:
        tokens, parents = written(tree)
        more = longest - len(tokens)
        if more < 0:
            raise ConfigError(f"A tree has {len(tokens)} tokens, but there is room for {longest} at most.")
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
    """Check that every row of a batch is one tree, written as the spec says.

    Raises:
        DataError: a row is not; the message names the first such row and what is wrong with it.
    """
    tokens, parents = batch.inputs, batch.extras.get("parents")
    if parents is None or parents.shape != tokens.shape:
        raise DataError("A batch of trees must name the parent of every token; give it parents.")
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
        "has a node whose parent is not a node": parents.lt(NO_NODE)
        | (has_parent & ~is_node.gather(1, above)),
        f"has a node with more than {spec.children} children": children > spec.children,
    }
    for wrong, where in wrongs.items():
        rows = where.any(1).nonzero()
        if len(rows):
            raise DataError(f"Row {int(rows[0])} of the trees {wrong}; give one tree for each row.")
