"""Tracing: the graph of a cell's step, from one call of it.

A call of `step(project(x), state)` on a small batch is watched by torch's dispatcher, which sees every
operation with its operands. What depends on weights alone is recorded too, and run in torch before each
sequence, so that autograd takes its gradient: `W.t()`, or the logistic function of a learnt α.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_map, tree_unflatten

from seqbench.models.unfold.cell import Cell
from seqbench.models.unfold.fused.graph import Block, Graph, Node, NotCoveredError

#: Rows of the traced call. No size that a cell has by itself is likely to be the same.
ROWS = 13
aten = torch.ops.aten

#: Operations with one name and the same operands as in the graph.
POINTWISE = {
    aten.neg: "neg", aten.tanh: "tanh", aten.sigmoid: "sigmoid", aten.relu: "relu", aten.exp: "exp",
    aten.log: "log", aten.log1p: "log1p", aten.sqrt: "sqrt", aten.rsqrt: "rsqrt", aten.sin: "sin",
    aten.cos: "cos", aten.erf: "erf", aten.abs: "abs", aten.sign: "sign", aten.floor: "floor",
    aten.ceil: "ceil", aten.round: "round", aten.trunc: "trunc", aten.mul: "mul", aten.div: "div",
    aten.pow: "pow", aten.maximum: "maximum", aten.minimum: "minimum", aten.where: "where",
    aten.lerp: "lerp", aten.remainder: "remainder", aten.lt: "lt", aten.le: "le", aten.gt: "gt",
    aten.ge: "ge", aten.eq: "eq", aten.ne: "ne", aten.logical_and: "and", aten.logical_or: "or",
    aten.logical_not: "not", aten.bitwise_and: "and", aten.bitwise_or: "or", aten.bitwise_not: "not",
}  # fmt: skip
#: Operations that change the shape of a value or its type and none of its numbers.
SAME = (aten.view, aten._unsafe_view, aten.reshape, aten.unsqueeze, aten.squeeze, aten.clone, aten.alias,
        aten.contiguous, aten.expand, aten._to_copy, aten._reshape_alias)  # fmt: skip
CONSTANT = {aten.zeros_like: 0.0, aten.ones_like: 1.0, aten.new_zeros: 0.0, aten.new_ones: 1.0}


@dataclass
class Step:
    """What a step of a cell is.

    graph: makes its nodes.
    outputs, state: the values that it returns, leaves of pytrees.
    output_spec, state_spec: the structures of these.
    input_widths, state_widths: columns of each leaf of the input and of the state.
    state_shapes: of a leaf of the state, for one row.
    matrices, vectors: which weights the graph means, places in what `weights` returns.
    """

    graph: Graph
    outputs: list[Node]
    state: list[Node]
    output_spec: TreeSpec
    state_spec: TreeSpec
    input_widths: list[int]
    state_widths: list[int]
    state_shapes: list[tuple[int, ...]]
    output_shapes: list[tuple[int, ...]]
    _recipe: Recipe
    used: list[int]

    def weights(self, cell: Cell) -> list[Tensor]:
        """Return the matrices (K, N) and vectors (N,) that the graph multiplies and adds, from those of a cell."""
        return self._recipe.run(cell, self.used)


class Recipe:
    """Operations on weights alone, in order.

    It knows weights by their names, so that it keeps none of them alive, and finds those that a cell has now.
    """

    def __init__(self, cell: Cell) -> None:
        named = (*cell.named_parameters(remove_duplicate=False), *cell.named_buffers(remove_duplicate=False))
        self._names = {id(tensor): tuple(name.split(".")) for name, tensor in named}
        self._values: list[Tensor | tuple[str, ...] | None] = []
        self._calls: list[tuple[Callable[..., Any], Any, Any, list[int]]] = []
        self._places: dict[int, int] = {}

    def place(self, tensor: Tensor) -> int:
        """Return the place of a tensor, which is a constant or a weight unless a call has made it."""
        if id(tensor) not in self._places:
            self._places[id(tensor)] = len(self._values)
            self._values.append(self._names.get(id(tensor), tensor))
        return self._places[id(tensor)]

    def record(self, call: Callable[..., Any], args: Any, kwargs: Any, made: Any) -> None:
        """Take up a call, whose operands are weights, numbers, or made of these."""
        held = tree_map(lambda a: Place(self.place(a)) if isinstance(a, Tensor) else a, (args, kwargs))
        places = []
        for tensor in tree_leaves(made):
            places.append(len(self._values))
            self._places[id(tensor)] = len(self._values)
            self._values.append(None)
        self._calls.append((call, *held, places))

    def run(self, cell: Cell, wanted: Sequence[int]) -> list[Tensor]:
        """Return tensors by their places."""
        values = [
            reduce(getattr, value, cell) if isinstance(value, tuple) else value for value in self._values
        ]

        def value(held: Any) -> Any:
            return values[held.index] if isinstance(held, Place) else held

        for call, args, kwargs, places in self._calls:
            if kwargs or any(isinstance(arg, list | tuple) for arg in args):
                args, kwargs = tree_map(value, (args, kwargs))
            made = call(*map(value, args), **kwargs)
            for place, tensor in zip(places, (made,) if isinstance(made, Tensor) else made, strict=True):
                values[place] = tensor
        return [values[place] for place in wanted]

    def keep(self, wanted: Sequence[int]) -> None:
        """Forget what `wanted` does not need."""
        needed, kept = {*wanted}, []
        for call in reversed(self._calls):
            if needed & {*call[3]}:
                kept.append(call)
                needed |= {leaf.index for leaf in tree_leaves(call[1:3]) if isinstance(leaf, Place)}
        self._calls = kept[::-1]
        self._values = [value if i in needed else None for i, value in enumerate(self._values)]
        self._names, self._places = {}, {}


@dataclass(frozen=True)
class Place:
    """Stands for a tensor of a recipe."""

    index: int


def trace(cell: Cell, inputs: Any, state: Any) -> Step:
    """Return the step of a cell.

    Args:
        cell: whose step it is.
        inputs: of the cell, tensors (rows, …), of the sizes and types of one step.
        state: the same of the state.

    Raises:
        NotCoveredError: the step has a part that a graph cannot express.
    """
    sample = tree_map(_rows_of, inputs), tree_map(_rows_of, state)
    (given, _), (before, state_spec) = tree_flatten(sample[0]), tree_flatten(sample[1])
    watch = _Watch(cell)
    for name, leaves in (("x", given), ("s", before)):
        for i, leaf in enumerate(leaves):
            watch.values[id(leaf)] = watch.graph.input(f"{name}{i}", _width(leaf)), leaf
    with torch.no_grad(), watch:
        output, after = cell.step(cell.project(sample[0]), sample[1])
    outputs, output_spec = tree_flatten(output)
    ends, after_spec = tree_flatten(after)
    if after_spec != state_spec or [end.shape for end in ends] != [part.shape for part in before]:
        raise NotCoveredError("a state of another structure after the step than before")
    if any(end.dtype != part.dtype for end, part in zip(ends, before, strict=True)):
        raise NotCoveredError("a state of another type after the step than before")
    if not ends:
        raise NotCoveredError("no state: all steps can be taken at once")
    values = [watch.node(leaf) for leaf in (*outputs, *ends)]
    values = [watch.filled(node, leaf) for node, leaf in zip(values, (*outputs, *ends), strict=True)]
    watch.recipe.keep(watch.used)
    return Step(
        graph=watch.graph,
        outputs=values[: len(outputs)],
        state=values[len(outputs) :],
        output_spec=output_spec,
        state_spec=state_spec,
        input_widths=[_width(leaf) for leaf in given],
        state_widths=[_width(leaf) for leaf in before],
        state_shapes=[tuple(leaf.shape[1:]) for leaf in before],
        output_shapes=[tuple(leaf.shape[1:]) for leaf in outputs],
        _recipe=watch.recipe,
        used=watch.used,
    )


def _rows_of(part: Tensor) -> Tensor:
    """Return a tensor of its own with `ROWS` rows and the sizes and type of `part`."""
    return part.new_zeros(ROWS, *part.shape[1:])


def _width(part: Tensor) -> int:
    if part.ndim > 2 or part.is_complex() or 0 in part.shape:
        raise NotCoveredError(f"a value of shape {tuple(part.shape[1:])} in each row, {part.dtype}")
    return part.shape[1] if part.ndim == 2 else 1


class _Watch(TorchDispatchMode):
    """Makes the graph while a step runs."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.graph = Graph()
        self.recipe = Recipe(cell)
        #: By identity, with the tensor, so that no other one can have its place in memory.
        self.values: dict[int, tuple[Node, Tensor]] = {}
        self.used: list[int] = []
        self._alive: list[Any] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # its import takes a second, and nothing compiles this

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        self._alive.append(made)
        if func._schema.is_mutable:
            raise NotCoveredError(f"{func}, which writes into a tensor")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NotCoveredError(f"{func}, which draws random numbers")
        if not any(id(leaf) in self.values for leaf in tree_leaves((args, kwargs))):
            if not all(isinstance(leaf, Tensor) for leaf in tree_leaves(made)):
                raise NotCoveredError(f"{func}, which reads a number")
            self.recipe.record(func, args, kwargs, made)
            return made
        nodes = self._nodes(func, args, kwargs, made)
        for node, tensor in zip(nodes, tree_leaves(made), strict=True):
            if tensor.ndim == 0 or tensor.shape[0] != ROWS:
                raise NotCoveredError(f"{func}, whose value has no rows")
            if not tensor.is_complex() and tensor.ndim <= 2 or func.overloadpacket in SAME:
                self.values[id(tensor)] = node, tensor
            else:
                raise NotCoveredError(f"{func} with a value of shape {tuple(tensor.shape[1:])} in each row")
        return made

    def node(self, operand: Any, column: bool = False) -> Node:
        """Return an operand as a node.

        Args:
            operand: a value of the step, weights or a number.
            column: whether it must have columns: without them torch would take rows for columns.
        """
        if not isinstance(operand, Tensor):
            if isinstance(operand, bool | int | float):
                return self.graph.node(float(operand))
            raise NotCoveredError(f"an operand {operand!r}")
        if id(operand) in self.values:
            if column and operand.ndim != 2:
                raise NotCoveredError("a value without columns among values with columns")
            return self.values[id(operand)][0]
        shape = operand.shape
        if operand.is_complex() or len(shape) > 2 or (len(shape) == 2 and shape[0] != 1):
            raise NotCoveredError(f"weights of shape {tuple(shape)}, used number by number")
        return self.graph.vector(self._use(operand), shape[-1] if shape else 1)

    def filled(self, node: Node, leaf: Tensor) -> Node:
        """Return a value that leaves the step in its full width: one of width 1 may stand for many columns."""
        width = _width(leaf)
        return node if node.width == width else self.graph.spread(node, width)

    def _use(self, operand: Tensor) -> int:
        place = self.recipe.place(operand)
        if place not in self.used:
            self.used.append(place)
        return self.used.index(place)

    def _nodes(self, func: OpOverload, args: Any, kwargs: Any, made: Any) -> list[Node]:
        """Return what an operation makes."""
        op, graph = func.overloadpacket, self.graph
        if op in (aten.mm, aten.addmm, aten.addmv, aten.mv):
            return [self._affine(op, args, kwargs)]
        if op in SAME:
            return [self._same(func, args, made)]
        if op in (aten.split, aten.split_with_sizes, aten.slice, aten.select, aten.cat, aten.narrow):
            return self._layout(op, args, kwargs, made)
        if op in CONSTANT:
            return [graph.node(CONSTANT[op])]
        if op in (aten.full_like, aten.new_full):
            return [graph.node(float(args[-1]))]
        if op in (aten.sum, aten.amax, aten.argmax, aten._softmax, aten._log_softmax, aten.mean):
            return [self._along(op, args, kwargs)]
        columns = isinstance(made, Tensor) and made.ndim == 2
        alpha = kwargs.pop("alpha", 1) if "alpha" in kwargs else 1
        if kwargs:
            raise NotCoveredError(f"{func} with {', '.join(kwargs)}")
        if op is aten.rsub:
            args, op = (args[1], args[0], *args[2:]), aten.sub
        given = list(args)
        if op in (aten.add, aten.sub) and len(given) == 3:
            alpha = given.pop()
        if op in (aten.clamp, aten.clamp_min, aten.clamp_max):
            given = _bounds(op, given)
        operands = [self.node(operand, columns) for operand in given]
        if op in (aten.add, aten.sub):
            a, b = operands
            b = b if alpha == 1 else float(alpha) * b
            return [a + b if op is aten.add else a - b]
        if op in (aten.clamp, aten.clamp_min, aten.clamp_max):
            return [graph.pointwise("clamp", *operands)]
        if op is aten.square:
            return [operands[0] * operands[0]]
        if op is aten.pow and func is aten.pow.Tensor_Scalar and args[1] == 2:
            return [operands[0] * operands[0]]
        if op is aten.reciprocal:
            return [graph.node(1) / operands[0]]
        if op is aten.silu:
            return [operands[0] * graph.pointwise("sigmoid", operands[0])]
        if op is aten.softplus and len(args) == 1:
            a = operands[0]
            # log(1 + exp a), without overflow
            size = graph.pointwise("exp", -graph.pointwise("abs", a))
            return [graph.pointwise("relu", a) + graph.pointwise("log1p", size)]
        if op is aten.gelu and len(args) == 1:
            a = operands[0]
            return [0.5 * a * (1 + graph.pointwise("erf", a * (1 / math.sqrt(2))))]
        if op not in POINTWISE or (op is aten.div and len(args) > 2) or (op is aten.round and len(args) > 1):
            raise NotCoveredError(f"the operation {func}")
        return [graph.pointwise(POINTWISE[op], *operands)]

    def _affine(self, op: Any, args: Any, kwargs: Any) -> Node:
        """Return a product with a matrix of weights, plus what `addmm` adds."""
        if op in (aten.mv, aten.addmv):
            raise NotCoveredError("a product with a vector of weights")
        *added, a, W = args
        if id(W) in self.values or id(a) not in self.values or kwargs:
            raise NotCoveredError("a product of two values of the step")
        block = Block(self._use(W), 0, W.shape[0], 0, W.shape[1])
        product = self.graph.product(self.node(a, True), block)
        return self.node(added[0]) + product if added else product

    def _same(self, func: OpOverload, args: Any, made: Tensor) -> Node:
        node, before = self.values[id(args[0])]
        if func.overloadpacket is aten._to_copy and before.is_floating_point() != made.is_floating_point():
            if before.is_floating_point():
                raise NotCoveredError(f"{func}, from numbers to {made.dtype}")
        if func.overloadpacket is aten._to_copy and made.is_floating_point() and before.is_floating_point():
            if before.dtype != made.dtype:
                raise NotCoveredError(f"{func}, from {before.dtype} to {made.dtype}")
        _width(made)
        if func.overloadpacket is aten.expand and made.numel() != before.numel():
            return self.graph.spread(node, made.shape[1])
        if made.numel() != before.numel() or made.shape[:1] != before.shape[:1]:
            raise NotCoveredError(f"{func}, which changes rows")
        return node

    def _layout(self, op: Any, args: Any, kwargs: Any, made: Any) -> list[Node]:
        """Return columns of a value, or values side by side."""
        graph = self.graph
        if op is aten.cat:
            parts, dim = args[0], (*args[1:], *kwargs.values(), 0)[0]
            if dim % made.ndim != 1:
                raise NotCoveredError("cat of rows")
            return [graph.join([self.filled(self.node(part, True), part) for part in parts])]
        source = args[0]
        dim = kwargs.get("dim", (*args, 0, 0)[1 if op in (aten.slice, aten.select, aten.narrow) else 2])
        if len(args) < 3 and op in (aten.split, aten.split_with_sizes) and "dim" not in kwargs:
            dim = 0
        if source.ndim != 2 or dim % 2 != 1 or (op is aten.slice and len(args) > 4 and args[4] != 1):
            if op is aten.slice and made.shape == source.shape:
                return [self.node(source)]
            raise NotCoveredError(f"{op} of rows")
        node, at, found = self.filled(self.node(source), source), 0, []
        if op in (aten.slice, aten.select, aten.narrow):
            at = args[2] if len(args) > 2 and args[2] is not None else 0
            at = at + source.shape[1] if at < 0 else at
        for part in tree_leaves(made):
            found.append(graph.cut(node, at, _width(part)))
            at += _width(part)
        return found

    def _along(self, op: Any, args: Any, kwargs: Any) -> Node:
        """Return a sum, maximum or softmax over the columns."""
        source, dims = args[0], (*args[1:], None)[0]
        dims = [dims] if isinstance(dims, int) else dims
        if source.ndim != 2 or dims is None or [dim % 2 for dim in dims] != [1] or kwargs:
            raise NotCoveredError(f"{op} over rows")
        a = self.filled(self.node(source), source)
        of: dict[Any, Callable[[], Node]] = {
            aten.sum: lambda: self.graph.reduction("sum", a),
            aten.mean: lambda: self.graph.reduction("sum", a) * (1 / a.width),
            aten.amax: lambda: self._no_gradient("amax"),
            aten.argmax: lambda: self.graph.reduction("argmax", a),
            aten._softmax: lambda: self._softmax(a)[0],
            aten._log_softmax: lambda: self._softmax(a)[1],
        }
        return of[op]()

    def _softmax(self, a: Node) -> tuple[Node, Node]:
        """Return the softmax of each row, and its logarithm."""
        shifted = a - self.graph.reduction("max", a)
        size = self.graph.pointwise("exp", shifted)
        total = self.graph.reduction("sum", size)
        return size / total, shifted - self.graph.pointwise("log", total)

    def _no_gradient(self, name: str) -> Node:
        raise NotCoveredError(f"the derivative of {name}")


def _bounds(op: Any, given: list[Any]) -> list[Any]:
    """Return a value with its lower and its upper bound."""
    value, *bounds = given
    if op is aten.clamp_max:
        bounds = [None, *bounds]
    low, high = (*bounds, None, None)[:2]
    return [value, -math.inf if low is None else low, math.inf if high is None else high]
