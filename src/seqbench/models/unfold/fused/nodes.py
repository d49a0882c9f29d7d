"""The nodes of a graph: the values of one step, for each row of a batch.

A step of a cell works on rows: no row of a batch depends on another. A value is therefore a vector of `width`
numbers in each row. Nodes are

    Input       columns of an input, of the state, or of a gradient that arrives
    Vector      columns of a vector of weights, the same in every row
    Number      a constant
    Product     Σ a W over pairs of a value a and a block W of a matrix of weights
    Pointwise   an operation on each number; an operand of width 1 counts in every column
    Reduction   the sum, the maximum or the place of the maximum of a row, of width 1
    Join        values side by side
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqbench.models.unfold.fused.graph import Graph


class NotCoveredError(Exception):
    """The step has a part that the engine cannot express; the message says which."""


@dataclass(frozen=True, eq=False)
class Node:
    """A value; arithmetic on nodes makes nodes."""

    graph: Graph
    width: int

    def __add__(self, other: Operand) -> Node:
        return self.graph.add(self, self.graph.node(other))

    def __radd__(self, other: Operand) -> Node:
        return self + other

    def __mul__(self, other: Operand) -> Node:
        return self.graph.pointwise("mul", self, other)

    def __rmul__(self, other: Operand) -> Node:
        return self * other

    def __sub__(self, other: Operand) -> Node:
        return self.graph.pointwise("sub", self, other)

    def __rsub__(self, other: Operand) -> Node:
        return self.graph.pointwise("sub", other, self)

    def __truediv__(self, other: Operand) -> Node:
        return self.graph.pointwise("div", self, other)

    def __rtruediv__(self, other: Operand) -> Node:
        return self.graph.pointwise("div", other, self)

    def __neg__(self) -> Node:
        return self.graph.pointwise("neg", self)


Operand = Node | float


@dataclass(frozen=True, eq=False)
class Input(Node):
    name: str
    start: int


@dataclass(frozen=True, eq=False)
class Vector(Node):
    index: int
    start: int


@dataclass(frozen=True, eq=False)
class Number(Node):
    value: float


@dataclass(frozen=True, eq=False)
class Pointwise(Node):
    op: str
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Block:
    """A block of a matrix of weights (K, N): `rows` × `columns`, from (`row`, `column`); or its transpose."""

    index: int
    row: int
    rows: int
    column: int
    columns: int
    transposed: bool = False

    @property
    def t(self) -> Block:
        """The transpose."""
        return replace(self, transposed=not self.transposed)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as the block enters a product."""
        return (self.columns, self.rows) if self.transposed else (self.rows, self.columns)

    def cut(self, start: int, width: int) -> Block:
        """Return columns of the block, as it enters a product."""
        if self.transposed:
            return replace(self, row=self.row + start, rows=width)
        return replace(self, column=self.column + start, columns=width)


#: A value and the block that it is multiplied by.
Pair = tuple[Node, Block]


@dataclass(frozen=True, eq=False)
class Product(Node):
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, eq=False)
class Reduction(Node):
    op: str
    arg: Node


@dataclass(frozen=True, eq=False)
class Join(Node):
    parts: tuple[Node, ...]


def operands(node: Node) -> tuple[Node, ...]:
    """Return the nodes that a node is computed from."""
    match node:
        case Pointwise():
            return node.args
        case Product():
            return tuple(a for a, _ in node.pairs)
        case Reduction():
            return (node.arg,)
        case Join():
            return node.parts
    return ()


def ordered(ends: Sequence[Node], stop: Callable[[Node], bool]) -> list[Node]:
    """Return the nodes that `ends` are computed from, operands first; what `stop` holds for is left out."""
    found: dict[Node, None] = {}

    def visit(node: Node) -> None:
        if node in found or stop(node):
            return
        for operand in operands(node):
            visit(operand)
        found[node] = None

    for end in ends:
        visit(end)
    return list(found)
