"""C source for values of a graph: what is computed in one step, for a few rows.

A step is computed in levels: first the products whose operands are there, then all pointwise operations that
these allow, in loops over rows and columns. What one loop computes and another needs goes through a local
array of the few rows.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from seqbench.models.unfold.fused.nodes import (
    Input,
    Join,
    Node,
    Number,
    Pointwise,
    Product,
    Reduction,
    Vector,
    operands,
    ordered,
)

#: Operations that are written with an operator, and functions that C or `kernel.h` has.
OPERATORS = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-{}",
             "lt": "(real)({} < {})", "le": "(real)({} <= {})", "gt": "(real)({} > {})",
             "ge": "(real)({} >= {})", "eq": "(real)({} == {})", "ne": "(real)({} != {})",
             "and": "(real)({} != 0 && {} != 0)", "or": "(real)({} != 0 || {} != 0)",
             "not": "(real)({} == 0)",
             "where": "({} != 0 ? {} : {})", "spread": "{}", "relu": "({0} <= 0 ? 0 : {0})",
             "abs": "({0} < 0 ? -{0} : {0})", "sign": "(real)(({0} > 0) - ({0} < 0))", "round": "nearest({})",
             "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
             "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
             "clamp": "({0} < {1} ? {1} : {0} > {2} ? {2} : {0})", "rsqrt": "1 / sqrt_of({})",
             "lerp": "({2} < (real)0.5 ? {0} + {2} * ({1} - {0}) : {1} - ({1} - {0}) * (1 - {2}))",
             }  # fmt: skip


class Place(NamedTuple):
    """Where a value lies: columns of an array.

    A local array has `stride` numbers for each row i; of an array that stays, each loop has a pointer to its
    row, of the same name, and the stride is None.
    """

    array: str
    start: int = 0
    stride: int | None = None

    def column(self, j: str) -> str:
        """Return the C expression of a number."""
        row = "" if self.stride is None else f"i * {self.stride} + "
        return f"{self.array}[{row}{self.start} + {j}]"

    def shifted(self, columns: int) -> Place:
        """Return the place of later columns."""
        return self._replace(start=self.start + columns)


class Sink(NamedTuple):
    """A value that is stored, or added to what is there."""

    node: Node
    place: Place
    adds: bool = False


class Packed(NamedTuple):
    """Packed weights of products with the same operands: their blocks lie side by side."""

    name: str
    products: list[Product]
    rows: int
    columns: int


def padded(columns: int) -> int:
    """Return the columns of a local array, with room for whole vectors."""
    size = -(-columns // 16) * 16
    return size + 16 * (size % 128 == 0)


class Writer:
    """Writes the C source of one step.

    Attributes:
        places: where values lie, of an input by its name.
        homes: the local arrays that values go to when they are computed.
        rows: by the name of an array that stays, the declaration of the pointer to its row g in step t.
        lines: what was written.
        local: local arrays with the numbers that each has for a row.
        weights: local arrays of another size, and that size.
        packed: packed weights that the source reads.
    """

    def __init__(self) -> None:
        self.places: dict[Node | str, Place] = {}
        self.homes: dict[Node, Place] = {}
        self.rows: dict[str, str] = {}
        self.lines: list[str] = []
        self.local: dict[str, int] = {}
        self.weights: dict[str, int] = {}
        self.packed: list[Packed] = []

    def new(self, prefix: str, columns: int) -> Place:
        """Return a new local array."""
        name = f"{prefix}{len(self.local)}"
        self.local[name] = padded(columns)
        return Place(name, 0, padded(columns))

    def place(self, node: Node) -> Place | None:
        """Return where a value lies; None if it must be computed."""
        if node in self.places or not isinstance(node, Input):
            return self.places.get(node)
        return self.places[node.name].shifted(node.start)

    def _is_there(self, node: Node) -> bool:
        return isinstance(node, Number | Vector | Input) or node in self.places

    def write(self, sinks: Sequence[Sink]) -> None:
        """Write what computes and stores values."""
        sinks = [part for sink in sinks for part in _parts(sink)]
        nodes = ordered([*(sink.node for sink in sinks), *self.homes], self._is_there)
        level: dict[Node, int] = defaultdict(int)
        for node in nodes:
            below = max((level[operand] for operand in operands(node)), default=0)
            level[node] = below + isinstance(node, Product | Reduction)
        stores: dict[Node, list[Sink]] = defaultdict(list)
        shared = {node: home for node, home in self.homes.items() if self.places.get(node) != home}
        for node in self._shared(nodes, level):
            if node not in shared:
                shared[node] = self.new("v", node.width)
        for node, place in shared.items():
            stores[node].append(Sink(node, place))
        for sink in sinks:
            stores[sink.node].append(sink)
        looped = [*dict.fromkeys([*(n for n in nodes if isinstance(n, Pointwise)), *stores])]
        for at in range(max(level.values(), default=0) + 1):
            here = [node for node in nodes if level[node] == at]
            self._products([node for node in here if isinstance(node, Product)])
            for node in here:
                if isinstance(node, Reduction):
                    self._reduction(node)
            for width in sorted({node.width for node in looped if level[node] == at}):
                mine = [node for node in looped if level[node] == at and node.width == width]
                self._loop(mine, [sink for node in mine for sink in stores.get(node, ())])
                self.places.update({node: shared[node] for node in mine if node in shared})

    def _shared(self, nodes: Sequence[Node], level: dict[Node, int]) -> list[Node]:
        """Return the values that need a local array: another loop, a product or a reduction reads them."""
        found: dict[Node, None] = {}
        for node in nodes:
            for operand in operands(node):
                place = self.place(operand)
                computed = place is None and isinstance(operand, Pointwise)
                if isinstance(node, Product | Reduction):
                    is_local = place is not None and place.stride is not None
                    if computed or not (is_local or isinstance(operand, Product | Reduction)):
                        found[operand] = None
                elif computed and (level[operand], operand.width) != (level[node], node.width):
                    found[operand] = None
        return list(found)

    def _products(self, products: Sequence[Product]) -> None:
        """Write products; those with the same operands are one."""
        groups: dict[tuple[Node, ...], list[Product]] = defaultdict(list)
        for product in products:
            groups[tuple(a for a, _ in product.pairs)].append(product)
        for values, group in groups.items():
            columns, rows = sum(p.width for p in group), sum(value.width for value in values)
            result, packed = self.new("c", columns), f"p{len(self.packed)}"
            self.packed.append(Packed(packed, group, rows, columns))
            for product, start in zip(group, starts(group), strict=True):
                self.places[product] = result.shifted(start)
            terms = []
            for value in values:
                place = self.place(value)
                assert place is not None and place.stride is not None
                terms.append(f"{{{place.array} + {place.start}, {place.stride}, {value.width}}}")
            self.lines += [
                f"{{ const struct term terms[] = {{{', '.join(terms)}}};",
                f"  product(m, {columns}, {result.array}, {result.stride}, {len(terms)}, terms, {packed});",
                "}",
            ]

    def _reduction(self, node: Reduction) -> None:
        result, place = self.new("r", 1), self.place(node.arg)
        assert place is not None
        self.places[node] = result
        self.lines += [
            "for (long i = 0; i < m; i++)",
            f"  {result.column('0')} = {node.op}_of(&{place.column('0')}, {node.arg.width});",
        ]

    def _loop(self, nodes: Sequence[Node], sinks: Sequence[Sink]) -> None:
        """Write the loop over rows and columns that computes and stores values of one width."""
        width, names, inner = nodes[0].width, dict[Node, str](), list[str]()

        def value(node: Node) -> str:
            j = "0" if node.width == 1 else "j"
            if node in names:
                return names[node]
            if isinstance(node, Number):
                return _literal(node.value)
            if isinstance(node, Vector):
                return f"W{node.index}[{node.start} + {j}]"
            place = self.place(node)
            assert place is not None
            return place.column(j)

        for node in nodes:
            if isinstance(node, Pointwise) and node not in self.places:
                text = _expression(node.op, [value(arg) for arg in node.args])
                names[node] = f"z{len(names)}"
                inner.append(f"const real {names[node]} = {text};")
        for sink in sinks:
            target, sign = sink.place.column("j" if width > 1 else "0"), "+=" if sink.adds else "="
            inner.append(f"{target} {sign} {value(sink.node)};")
        pointers = [line for name, line in self.rows.items() if re.search(rf"\b{name}\[", "\n".join(inner))]
        self.lines += [
            "for (long i = 0; i < m; i++) {",
            *(["  const long g = order ? order[i0 + i] : i0 + i;"] if pointers else []),
            *(f"  {line}" for line in pointers),
            *(["  COLUMNS", f"  for (long j = 0; j < {width}; j++) {{"] if width > 1 else ["  {"]),
            *(f"    {line}" for line in inner),
            "  }",
            "}",
        ]


def _parts(sink: Sink) -> list[Sink]:
    """Return where each part of joined values is stored."""
    if not isinstance(sink.node, Join):
        return [sink]
    parts = sink.node.parts
    return [
        sink._replace(node=part, place=sink.place.shifted(start))
        for part, start in zip(parts, starts(parts), strict=True)
    ]


def starts(group: Sequence[Node]) -> list[int]:
    """Return the first column of each value, side by side."""
    found, at = [], 0
    for node in group:
        found.append(at)
        at += node.width
    return found


def _expression(op: str, values: Sequence[str]) -> str:
    """Return a pointwise operation in C."""
    return OPERATORS[op].format(*values) if op in OPERATORS else f"{op}_of({', '.join(values)})"


def _literal(value: float) -> str:
    if math.isfinite(value):
        return f"((real){value!r})"
    return "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "(-INFINITY)"
