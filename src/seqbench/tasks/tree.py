"""What tasks share whose inputs are trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from seqbench.tasks.base import Task, Tokens


@dataclass(frozen=True)
class Trees(Tokens):
    """Input spec: a tree, written as a sequence of tokens with brackets.

        [ MAX 2 [ MIN 7 4 ] 0 ]       tokens, of which brackets are no nodes
        . −1  1 . 1   5 5 . 1 .       parents, by their place (`Batch.parents`); −1 is the root's, . is −2

    Children follow their parent, in their order. A model of sequences reads the tokens, a model of trees
    those that are nodes.

    size: tokens there are.
    children: the most that a node has.
    """

    children: int


class TreeTask(Task):
    """A task of saying something about a tree."""

    kind: ClassVar[str] = "tree"

    inputs: Trees
