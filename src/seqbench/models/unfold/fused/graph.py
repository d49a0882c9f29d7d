"""The graph of one step: it makes nodes, equal ones once.

Columns are cut out of inputs, vectors and matrices, and joins are taken apart, so that all work is done on
whole blocks: the four gates of an LSTM are four products. A sum of products is one product of several pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from seqbench.models.unfold.fused.nodes import (
    Block,
    Input,
    Join,
    Node,
    NotCoveredError,
    Number,
    Operand,
    Pointwise,
    Product,
    Reduction,
    Vector,
)

#: Terms of a sum whose products are looked for; y + y + … may have very many.
MOST_TERMS = 64
N = TypeVar("N", bound=Node)


class Graph:
    """Makes nodes, equal ones once."""

    def __init__(self) -> None:
        self._nodes: dict[Any, Node] = {}
        self._cuts: dict[tuple[Node, int, int], Node] = {}

    def _made(self, kind: Callable[..., N], width: int, *fields: Any) -> N:
        key = (kind, width, *fields)
        if key not in self._nodes:
            self._nodes[key] = kind(self, width, *fields)
        return self._nodes[key]  # type: ignore[return-value]

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
        terms = [*islice(chain(_terms(a), _terms(b)), MOST_TERMS)]
        products = [term for term in terms if isinstance(term, Product)]
        others = [term for term in terms if not isinstance(term, Product)]
        if len(products) < 2 or len(terms) == MOST_TERMS or len({product.width for product in products}) > 1:
            return self.pointwise("add", a, b)
        total: Node = self._made(
            Product, products[0].width, tuple(pair for product in products for pair in product.pairs)
        )
        for term in others:
            total = self.pointwise("add", term, total)
        return total

    def product(self, a: Node, block: Block) -> Node:
        """Return a value (…, K) times a block (K, N)."""
        inner, outer = block.shape
        if isinstance(a, Join):
            rows = [block.t.cut(*place).t for place in _places(a)]
            return _sum([self.product(part, its) for part, its in zip(a.parts, rows, strict=True)])
        if a.width != inner or isinstance(a, Number):
            raise NotCoveredError("a product with a constant")
        return self._made(Product, outer, ((a, block),))

    def reduction(self, op: str, arg: Node) -> Node:
        """Return the `sum`, the `max` or the `argmax` of each row."""
        if isinstance(arg, Join):
            if op != "sum":
                raise NotCoveredError(f"{op} of joined values")
            return _sum([self.reduction(op, part) for part in arg.parts])
        return arg if arg.width == 1 and op != "argmax" else self._made(Reduction, 1, op, arg)

    def join(self, parts: Sequence[Node]) -> Node:
        """Return values side by side."""
        flat = [p for part in parts for p in (part.parts if isinstance(part, Join) else (part,))]
        merged: list[Node] = []
        for part in flat:
            before = merged[-1] if merged else None
            if (
                isinstance(part, Input)
                and isinstance(before, Input)
                and (before.name, before.start + before.width) == (part.name, part.start)
            ):
                merged[-1] = self.input(part.name, before.width + part.width, before.start)
            else:
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
        key = a, start, width
        if key not in self._cuts:
            self._cuts[key] = self._cut(*key)
        return self._cuts[key]

    def _cut(self, a: Node, start: int, width: int) -> Node:
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
                pairs = tuple((value, block.cut(start, width)) for value, block in a.pairs)
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


def _sum(nodes: Sequence[Node]) -> Node:
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
