"""The graph of one step: what is computed in each row of a batch.

A step of a cell works on rows: no row of a batch depends on another. A value of the graph is therefore a
vector of `width` numbers in each row. Nodes are

    Input       columns of an input, of the state, or of a gradient that arrives
    Vector      columns of a vector of weights, the same in every row
    Number      a constant
    Product     Σ a W over pairs of a value a and a block W of a matrix of weights
    Pointwise   an operation on each number; an operand of width 1 counts in every column
    Reduction   the sum, the maximum or the place of the maximum of a row, of width 1
    Join        values side by side

Equal nodes are one object. Columns are cut out of inputs, vectors and matrices, and joins are taken apart, so
that all work is done on whole blocks: the four gates of an LSTM are four products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


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
        return Block(self.index, self.row, self.rows, self.column, self.columns, not self.transposed)


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


class Graph:
    """Makes nodes, equal ones once."""

    def __init__(self) -> None:
        self._nodes: dict[Any, Node] = {}

    def _made(self, kind: Callable[..., Node], width: int, *fields: Any) -> Any:
        key = (kind, width, *fields)
        if key not in self._nodes:
            self._nodes[key] = kind(self, width, *fields)
        return self._nodes[key]

    def node(self, value: Operand) -> Node:
        """Return a number as a node, and a node as it is."""
        return value if isinstance(value, Node) else self._made(Number, 1, float(value))

    def input(self, name: str, width: int, start: int = 0) -> Node:
        """Return columns of an input."""
        return self._made(Input, width, name, start)

    def vector(self, index: int, width: int, start: int = 0) -> Node:
        """Return columns of a vector of weights."""
        return self._made(Vector, width, index, start)

    def pointwise(self, op: str, *operands: Operand) -> Node:
        """Return an operation on numbers."""
        args = tuple(self.node(operand) for operand in operands)
        if (simple := _simplified(self, op, args)) is not None:
            return simple
        width = max(arg.width for arg in args)
        for arg in args:
            if isinstance(arg, Join):  # the operation on each part
                places = _places(arg)
                parts = [
                    self.pointwise(op, *(a if a.width == 1 else self.cut(a, *place) for a in args))
                    for place in places
                ]
                return self.join(parts)
        return self._made(Pointwise, width, op, args)

    def add(self, a: Node, b: Node) -> Node:
        """Return a sum, in which products become one product."""
        terms = [*_terms(a), *_terms(b)]
        products = [term for term in terms if isinstance(term, Product)]
        others = [term for term in terms if not isinstance(term, Product)]
        if len(products) < 2 or len({product.width for product in products}) > 1:
            return self.pointwise("add", a, b)
        total: Node = self._made(
            Product, products[0].width, tuple(pair for product in products for pair in product.pairs)
        )
        for term in others:
            total = self.pointwise("add", term, total)
        return total

    def product(self, a: Node, block: Block) -> Node:
        """Return a value (…, K) times a block (K, N)."""
        inner, outer = (block.columns, block.rows) if block.transposed else (block.rows, block.columns)
        if isinstance(a, Join):
            return _sum(
                self, [self.product(part, _rows(block, *place)) for part, place in zip(a.parts, _places(a))]
            )
        if a.width != inner or isinstance(a, Number):
            raise NotCoveredError("a product with a constant")
        return self._made(Product, outer, ((a, block),))

    def reduction(self, op: str, arg: Node) -> Node:
        """Return the `sum`, the `max` or the `argmax` of each row."""
        if isinstance(arg, Join):
            if op != "sum":
                raise NotCoveredError(f"{op} of joined values")
            return _sum(self, [self.reduction(op, part) for part in arg.parts])
        return arg if arg.width == 1 and op != "argmax" else self._made(Reduction, 1, op, arg)

    def join(self, parts: Sequence[Node]) -> Node:
        """Return values side by side."""
        flat = [p for part in parts for p in (part.parts if isinstance(part, Join) else (part,))]
        merged: list[Node] = []
        for part in flat:
            before = merged[-1] if merged else None
            if isinstance(part, Input) and isinstance(before, Input) and part.name == before.name:
                if before.start + before.width == part.start:
                    merged[-1] = self.input(part.name, before.width + part.width, before.start)
                    continue
            merged.append(part)
        if len(merged) == 1:
            return merged[0]
        return self._made(Join, sum(part.width for part in merged), tuple(merged))

    def spread(self, a: Node, width: int) -> Node:
        """Return a value of width 1 in each of `width` columns."""
        return a if a.width == width else self._made(Pointwise, width, "spread", (a,))

    def cut(self, a: Node, start: int, width: int) -> Node:
        """Return columns of a value."""
        if width == a.width:
            return a
        match a:
            case Number():
                return a
            case Input():
                return self.input(a.name, width, a.start + start)
            case Vector():
                return self.vector(a.index, width, a.start + start)
            case Pointwise(op="spread"):
                return self.spread(a.args[0], width)
            case Pointwise():
                args = (arg if arg.width == 1 else self.cut(arg, start, width) for arg in a.args)
                return self.pointwise(a.op, *args)
            case Product():
                pairs = tuple((value, _columns(block, start, width)) for value, block in a.pairs)
                return self._made(Product, width, pairs)
            case Join():
                parts = []
                for part, (at, size) in zip(a.parts, _places(a), strict=True):
                    first, last = max(start, at), min(start + width, at + size)
                    if first < last:
                        parts.append(self.cut(part, first - at, last - first))
                return self.join(parts)
        raise AssertionError(f"a {type(a).__name__} has one column")


def _simplified(graph: Graph, op: str, args: tuple[Node, ...]) -> Node | None:
    """Return a simpler form of sums and products with 0 and 1, and of nothing else: NaN must stay NaN."""
    a, b = (*args, None, None)[:2]
    if op in ("add", "sub") and isinstance(b, Number) and b.value == 0:
        return a
    if op == "add" and isinstance(a, Number) and a.value == 0:
        return b
    if op == "mul" and isinstance(a, Number) and a.value == 1:
        return b
    if op in ("mul", "div") and isinstance(b, Number) and b.value == 1:
        return a
    return None


def _sum(graph: Graph, nodes: Sequence[Node]) -> Node:
    total = nodes[0]
    for node in nodes[1:]:
        total = total + node
    return total


def _terms(a: Node) -> Iterator[Node]:
    """Yield the terms of a sum."""
    if isinstance(a, Pointwise) and a.op == "add" and all(arg.width == a.width for arg in a.args):
        for arg in a.args:
            yield from _terms(arg)
    else:
        yield a


def _places(join: Join) -> list[tuple[int, int]]:
    """Return where each part begins, and its width."""
    places, at = [], 0
    for part in join.parts:
        places.append((at, part.width))
        at += part.width
    return places


def _columns(block: Block, start: int, width: int) -> Block:
    """Return columns of a block, as it enters a product."""
    if block.transposed:
        return Block(block.index, block.row + start, width, block.column, block.columns, True)
    return Block(block.index, block.row, block.rows, block.column + start, width)


def _rows(block: Block, start: int, width: int) -> Block:
    """Return rows of a block, as it enters a product."""
    return _columns(block.t, start, width).t


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
