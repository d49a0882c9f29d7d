"""The gradient of a step: reverse-mode differentiation of its graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from seqbench.models.unfold.fused.graph import Graph
from seqbench.models.unfold.fused.nodes import (
    Input,
    Join,
    Node,
    NotCoveredError,
    Number,
    Pair,
    Pointwise,
    Product,
    Reduction,
    Vector,
    ordered,
)

#: The gradients of an operation's operands, from the gradient g of its value y.
Rule = Callable[..., tuple[Node | None, ...]]


def _where(c: Node, a: Node | float, b: Node | float) -> Node:
    return c.graph.pointwise("where", c, a, b)


def _of(op: str, *args: Node | float) -> Node:
    graph = next(arg.graph for arg in args if isinstance(arg, Node))
    return graph.pointwise(op, *args)


RULES: dict[str, Rule] = {
    "add": lambda g, y, a, b: (g, g),
    "sub": lambda g, y, a, b: (g, -g),
    "mul": lambda g, y, a, b: (g * b, g * a),
    "div": lambda g, y, a, b: (g / b, -(g * y / b)),
    "neg": lambda g, y, a: (-g,),
    "tanh": lambda g, y, a: (g * (1 - y * y),),
    "sigmoid": lambda g, y, a: (g * (y * (1 - y)),),
    "relu": lambda g, y, a: (_where(_of("le", y, 0), 0, g),),
    "exp": lambda g, y, a: (g * y,),
    "log": lambda g, y, a: (g / a,),
    "log1p": lambda g, y, a: (g / (1 + a),),
    "softplus": lambda g, y, a: (_where(_of("gt", a, 20), g, g * _of("sigmoid", a)),),
    "remainder": lambda g, y, a, b: (g, -(g * _of("floor", a / b))),
    "sqrt": lambda g, y, a: (g / (2 * y),),
    "rsqrt": lambda g, y, a: (-0.5 * (g * (y / a)),),
    "sin": lambda g, y, a: (g * _of("cos", a),),
    "cos": lambda g, y, a: (-(g * _of("sin", a)),),
    "erf": lambda g, y, a: (g * (1.1283791670955126 * _of("exp", -(a * a))),),
    "spread": lambda g, y, a: (g,),
    "abs": lambda g, y, a: (g * (_of("gt", a, 0) - _of("lt", a, 0)),),
    "pow": lambda g, y, a, b: (g * (b * _of("pow", a, b - 1)), g * (y * _of("log", a))),
    # Where both are equal, each has half of the gradient.
    "maximum": lambda g, y, a, b: (
        g * (0.5 * (_of("gt", a, b) + _of("ge", a, b))),
        g * (0.5 * (_of("lt", a, b) + _of("le", a, b))),
    ),
    "minimum": lambda g, y, a, b: (
        g * (0.5 * (_of("lt", a, b) + _of("le", a, b))),
        g * (0.5 * (_of("gt", a, b) + _of("ge", a, b))),
    ),
    "where": lambda g, y, c, a, b: (None, _where(c, g, 0), _where(c, 0, g)),
    # (a bound that is met passes its gradient on)
    "clamp": lambda g, y, a, low, high: (_where(_of("eq", y, a), g, 0), None, None),
    "lerp": lambda g, y, a, b, w: (g - g * w, g * w, g * (b - a)),
}
#: Operations whose value has no gradient.
FLAT = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not", "sign", "floor", "ceil", "round",
                  "trunc", "argmax", "max"})  # fmt: skip


@dataclass
class Gradients:
    """The gradients of a step.

    graph: has them as its nodes.
    inputs: of what enters the step, by the names of inputs and their columns.
    vectors: of vectors of weights, to be summed over rows.
    products: of each product of weights, and the pairs that it multiplies.
    """

    graph: Graph
    inputs: dict[Input, Node] = field(default_factory=dict)
    vectors: list[tuple[Vector, Node]] = field(default_factory=list)
    products: dict[Product, Node] = field(default_factory=dict)

    @property
    def pairs(self) -> list[tuple[Product, Pair]]:
        """Return every product with each of its pairs."""
        return [(product, pair) for product in self.products for pair in product.pairs]

    def whole(self, name: str, width: int) -> list[tuple[int, Node]]:
        """Return the gradient of all columns of an input, in pieces with their first columns."""
        parts = [(node, g) for node, g in self.inputs.items() if node.name == name]
        edges = sorted({0, width, *(e for node, _ in parts for e in (node.start, node.start + node.width))})
        found = []
        for start, stop in itertools.pairwise(edges):
            pieces = [
                self.graph.cut(g, start - node.start, stop - start)
                for node, g in parts
                if node.start <= start and stop <= node.start + node.width
            ]
            total = sum(pieces[1:], pieces[0]) if pieces else self.graph.node(0.0)
            found.append((start, self.graph.spread(total, stop - start)))
        return found


def differentiate(graph: Graph, ends: Mapping[Node, Node]) -> Gradients:
    """Return the gradients of a step.

    Args:
        graph: makes the nodes.
        ends: the gradient that arrives at each value that leaves the step.

    Raises:
        NotCoveredError: an operation has no derivative here.
    """
    gradient: dict[Node, Node] = {}
    found = Gradients(graph)

    def give(node: Node, g: Node | None) -> None:
        if g is None or isinstance(node, Number):
            return
        if isinstance(node, Join):
            at = 0
            for part in node.parts:
                give(part, graph.cut(g, at, part.width))
                at += part.width
            return
        if node.width == 1 < g.width:  # it counts in every column
            g = graph.reduction("sum", g)
        gradient[node] = gradient[node] + g if node in gradient else g

    for node, g in ends.items():
        give(node, g)
    for node in reversed(ordered(list(ends), lambda _: False)):
        if node not in gradient:
            continue
        g = gradient[node]
        match node:
            case Input():
                found.inputs[node] = g
            case Vector():
                found.vectors.append((node, g))
            case Pointwise() if node.op not in FLAT:
                if node.op not in RULES:
                    raise NotCoveredError(f"the derivative of {node.op}")
                for arg, share in zip(node.args, RULES[node.op](g, node, *node.args), strict=True):
                    give(arg, share)
            case Product():
                found.products[node] = g
                for a, block in node.pairs:
                    give(a, graph.product(g, block.t))
            case Reduction() if node.op == "sum":
                give(node.arg, graph.spread(g, node.arg.width))
    return found
