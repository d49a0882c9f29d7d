"""The operations of torch as nodes of a graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves

from seqbench.models.unfold.fused.graph import Graph
from seqbench.models.unfold.fused.nodes import Block, Node, NotCoveredError, Number

aten = torch.ops.aten

#: Operations with the operands of the graph's.
POINTWISE = {
    aten.neg: "neg", aten.tanh: "tanh", aten.sigmoid: "sigmoid", aten.relu: "relu", aten.exp: "exp",
    aten.log: "log", aten.log1p: "log1p", aten.sqrt: "sqrt", aten.rsqrt: "rsqrt", aten.sin: "sin",
    aten.cos: "cos", aten.erf: "erf", aten.abs: "abs", aten.sign: "sign", aten.floor: "floor",
    aten.ceil: "ceil", aten.round: "round", aten.trunc: "trunc", aten.mul: "mul", aten.div: "div",
    aten.pow: "pow", aten.maximum: "maximum", aten.minimum: "minimum", aten.where: "where",
    aten.lerp: "lerp", aten.remainder: "remainder", aten.lt: "lt", aten.le: "le", aten.gt: "gt",
    aten.ge: "ge", aten.eq: "eq", aten.ne: "ne", aten.logical_and: "and", aten.logical_or: "or",
    aten.logical_not: "not", aten.bitwise_and: "and", aten.bitwise_or: "or", aten.bitwise_not: "not",
    aten.softplus: "softplus",
}  # fmt: skip
#: Operations that are made of others. (GELU is x Φ(x), exact.)
COMPOSED: dict[Any, Callable[..., Node]] = {
    aten.square: lambda a: a * a,
    aten.reciprocal: lambda a: 1 / a,
    aten.silu: lambda a: a * a.graph.pointwise("sigmoid", a),
    aten.gelu: lambda a: 0.5 * a * (1 + a.graph.pointwise("erf", a * math.sqrt(0.5))),
    aten.leaky_relu: lambda a, slope=0.01: (
        a.graph.pointwise("where", a.graph.pointwise("gt", a, 0), a, a * slope)
    ),
    aten.addcmul: lambda a, b, c: a + b * c,
}  # fmt: skip
BITWISE = {aten.bitwise_and, aten.bitwise_or, aten.bitwise_not}
ARITHMETIC = {aten.add, aten.sub, aten.rsub, aten.clamp, aten.clamp_min, aten.clamp_max}
#: Operations that change the shape of a value, or its type, and none of its numbers.
SAME = {aten.view, aten._unsafe_view, aten.reshape, aten.unsqueeze, aten.squeeze, aten.clone, aten.alias,
        aten.contiguous, aten.expand, aten._to_copy, aten._reshape_alias}  # fmt: skip
#: Operations that take columns, and the place of the dimension among their operands.
COLUMNS = {
    aten.split: 2,
    aten.split_with_sizes: 2,
    aten.slice: 1,
    aten.select: 1,
    aten.narrow: 1,
    aten.unbind: 1,
}
CONSTANT = {aten.zeros_like: 0.0, aten.ones_like: 1.0, aten.new_zeros: 0.0, aten.new_ones: 1.0}
ALONG = {aten.sum, aten.mean, aten.argmax, aten._softmax, aten._log_softmax}


@runtime_checkable
class Watch(Protocol):
    """Knows the nodes of tensors, see `seqbench.models.unfold.fused.trace`."""

    graph: Graph

    def node(self, operand: Any) -> Node: ...

    def matrix(self, operand: Any) -> Block: ...

    def is_value(self, operand: Any) -> bool: ...


def translate(watch: Watch, func: OpOverload, args: Any, kwargs: Any, made: Any) -> list[Node]:
    """Return what an operation makes of values of a step.

    Args:
        watch: knows the nodes of its operands.
        func: the operation.
        args, kwargs: its operands.
        made: what it made: a tensor, or several.

    Raises:
        NotCoveredError: the graph has no such operation.
    """
    op, graph = func.overloadpacket, watch.graph
    if op in (aten.mm, aten.addmm):
        return [_affine(watch, args, kwargs)]
    # (Torch detaches a new constant by itself.)
    if op in SAME or (op is aten.detach and isinstance(watch.node(args[0]), Number)):
        return [_same(watch, func, args[0], made)]
    if op is aten.cat:
        if (*args[1:], *kwargs.values(), 0)[0] % made.ndim != 1:
            raise NotCoveredError("cat of rows")
        return [graph.join([filled(watch.node(part), part) for part in args[0]])]
    if op in COLUMNS:
        return _columns(watch, op, args, kwargs, made)
    if op in CONSTANT:
        return [graph.node(CONSTANT[op])]
    if op in (aten.full_like, aten.new_full):
        return [graph.node(float(args[-1]))]
    if op in ALONG:
        return [_along(watch, op, args)]
    return [_pointwise(watch, func, args, kwargs, made)]


def filled(node: Node, tensor: Tensor) -> Node:
    """Return a value in the width of its tensor: one of width 1 may stand for many columns."""
    return node.graph.spread(node, width(tensor))


def width(part: Tensor) -> int:
    """Return the numbers that a tensor has for each row."""
    if part.ndim > 2 or part.is_complex() or 0 in part.shape:
        raise NotCoveredError(f"a value of shape {tuple(part.shape[1:])} in each row, {part.dtype}")
    return part.shape[1] if part.ndim == 2 else 1


def _pointwise(watch: Watch, func: OpOverload, args: Sequence[Any], kwargs: Any, made: Any) -> Node:
    """Return an operation on each number."""
    op, graph, given = func.overloadpacket, watch.graph, list(args)
    alpha = kwargs.get("alpha", 1)
    if op in (aten.add, aten.sub, aten.rsub) and len(given) == 3:  # of a number
        alpha = given.pop()
    if {*kwargs} - {"alpha"} or (op is aten.softplus and len(given) > 1):
        raise NotCoveredError(f"{func} with options")
    if op not in POINTWISE and op not in COMPOSED and op not in ARITHMETIC:
        raise NotCoveredError(f"the operation {func}")
    clamps = op in (aten.clamp, aten.clamp_min, aten.clamp_max)
    if clamps:
        low, high = [None, given[1]] if op is aten.clamp_max else [*given[1:], None][:2]
        given = [given[0], -math.inf if low is None else low, math.inf if high is None else high]
        if any(isinstance(bound, Tensor) for bound in given[1:]) or not given[1] <= given[2]:
            raise NotCoveredError(f"{func} with bounds that are tensors, or none at all")
    for operand in given:
        # Torch would take rows for columns.
        if watch.is_value(operand) and made.ndim == 2 and operand.ndim != 2:
            raise NotCoveredError(f"{func} of a value without columns and one with columns")
    operands = [watch.node(operand) for operand in given]
    if op in (aten.add, aten.sub, aten.rsub):
        a, b = operands
        if op is aten.rsub:  # b − alpha a
            return b - (a if alpha == 1 else a * float(alpha))
        b = b if alpha == 1 else b * float(alpha)
        return a + b if op is aten.add else a - b
    if clamps:
        return graph.pointwise("clamp", *operands)
    if op is aten.pow and not isinstance(args[1], Tensor) and args[1] == 2:
        return operands[0] * operands[0]
    if op is aten.pow and (isinstance(args[1], Tensor) or args[1] == 0):
        raise NotCoveredError(f"{func}, whose gradient has exceptions at 0")
    if op in BITWISE and made.dtype != torch.bool:
        raise NotCoveredError(f"{func} of whole numbers")
    if op in COMPOSED:
        return COMPOSED[op](*operands)
    return graph.pointwise(POINTWISE[op], *operands)


def _affine(watch: Watch, args: Sequence[Any], kwargs: dict[str, Any]) -> Node:
    """Return a product with a matrix of weights, plus what `addmm` adds."""
    *added, a, W = args
    if watch.is_value(W) or not watch.is_value(a) or kwargs:
        raise NotCoveredError("a product of two values of the step")
    product = watch.graph.product(watch.node(a), watch.matrix(W))
    return watch.node(added[0]) + product if added else product


def _same(watch: Watch, func: OpOverload, before: Tensor, made: Tensor) -> Node:
    """Return a value in another shape or type."""
    node = watch.node(before)
    if before.dtype != made.dtype and (before.is_floating_point() or not made.is_floating_point()):
        raise NotCoveredError(f"{func}, from {before.dtype} to {made.dtype}")
    if width(made) != width(before):
        if func.overloadpacket is not aten.expand:
            raise NotCoveredError(f"{func}, which changes rows")
        return filled(node, made)
    return node


def _columns(watch: Watch, op: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Any) -> list[Node]:
    """Return columns of a value."""
    source, place = args[0], COLUMNS[op]
    dim = args[place] if len(args) > place else kwargs.get("dim", 0)
    if op is aten.slice and made.shape == source.shape:
        return [watch.node(source)]
    if source.ndim != 2 or dim % 2 != 1 or (op is aten.slice and (*args, 1)[4:5] not in ((), (1,))):
        raise NotCoveredError(f"{op} of rows, or with gaps")
    node, at, found = filled(watch.node(source), source), 0, []
    if op in (aten.slice, aten.select, aten.narrow):
        at = args[2] if len(args) > 2 and args[2] is not None else 0
        at = max(at + source.shape[1], 0) if at < 0 else at
    for part in tree_leaves(made):
        found.append(watch.graph.cut(node, at, width(part)))
        at += width(part)
    return found


def _along(watch: Watch, op: Any, args: Sequence[Any]) -> Node:
    """Return a sum, the place of the maximum, or the softmax, over the columns."""
    source, dims = args[0], args[1] if len(args) > 1 else None
    dims = [dims] if isinstance(dims, int) else dims
    if source.ndim != 2 or dims is None or [dim % 2 for dim in dims] != [1]:
        raise NotCoveredError(f"{op} over rows")
    graph, a = watch.graph, filled(watch.node(source), source)
    if op is aten.argmax:
        return graph.reduction("argmax", a)
    if op in (aten.sum, aten.mean):
        total = graph.reduction("sum", a)
        return total if op is aten.sum else total * (1 / a.width)
    shifted = a - graph.reduction("max", a)
    size = graph.pointwise("exp", shifted)
    total = graph.reduction("sum", size)
    return size / total if op is aten._softmax else shifted - graph.pointwise("log", total)
