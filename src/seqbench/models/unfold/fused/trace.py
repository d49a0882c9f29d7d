"""Tracing: the graph of a cell's step, from one call of it.

A call of `step(project(x), state)` on a small batch is watched by torch's dispatcher, which sees every
operation with its operands. What depends on weights alone is recorded too, and run in torch before each
sequence, so that autograd takes its gradient: `W.t()`, or the logistic function of a learnt α.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_map

from seqbench.models.unfold.cell import Cell
from seqbench.models.unfold.fused.graph import Graph
from seqbench.models.unfold.fused.nodes import Block, Node, NotCoveredError
from seqbench.models.unfold.fused.operations import filled, translate, width
from seqbench.models.unfold.fused.recipe import Recipe

aten = torch.ops.aten
#: What may make whole numbers: the place of the largest value, and its other shapes.
INTEGERS = {aten.argmax, aten.view, aten.unsqueeze, aten.squeeze, aten.alias}
#: Rows of the traced calls. What differs between them depends on the number of rows.
ROWS = (2, 61)


@dataclass
class Step:
    """What a step of a cell is.

    Attributes:
        graph: makes its nodes.
        outputs, state: the values that it returns, leaves of pytrees.
        output_spec, state_spec: the structures of these.
        input_widths, state_widths: columns of each leaf of the input and of the state.
        state_shapes, output_shapes: of each leaf, for one row.
        recipe: makes the weights that the graph means.
        used: their places in the recipe.
        matrices: which of these are multiplied as matrices.
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
    recipe: Recipe
    used: list[int]
    matrices: set[int]

    def weights(self, cell: Cell) -> list[Tensor]:
        """Return what the graph means by its weights: matrices (K, N) and vectors (N,)."""
        found = self.recipe.run(cell, self.used)
        # The gradient of a matrix is laid out as the matrix, which must be whole: by rows, or by columns.
        return [
            w if k in self.matrices and w.t().is_contiguous() else w.contiguous() for k, w in enumerate(found)
        ]


def trace(cell: Cell, inputs: Any, state: Any, rows: int = ROWS[0]) -> Step:
    """Return the step of a cell.

    Args:
        cell: whose step it is.
        inputs: of the cell, tensors (B, …), of the sizes and types of one step.
        state: the same of the state.
        rows: of the call that is watched.

    Raises:
        NotCoveredError: the step has a part that a graph cannot express.
    """
    with torch.inference_mode(False):  # what is recorded is also for training
        return _trace(
            cell, rows, *tree_map(lambda part: part.new_zeros(rows, *part.shape[1:]), (inputs, state))
        )


def _trace(cell: Cell, rows: int, *sample: Any) -> Step:
    (given, _), (before, state_spec) = tree_flatten(sample[0]), tree_flatten(sample[1])
    watch = _Watch(cell, rows)
    watch.dtype = next((leaf.dtype for leaf in before if leaf.is_floating_point()), None)
    for name, leaves in (("x", given), ("s", before)):
        for i, leaf in enumerate(leaves):
            watch.values[id(leaf)] = watch.graph.input(f"{name}{i}", width(leaf)), leaf
    with torch.no_grad(), watch, _calls_none_with_hooks(cell):
        output, after = cell.step(cell.project(sample[0]), sample[1])
    outputs, output_spec = tree_flatten(output)
    ends, after_spec = tree_flatten(after)
    if after_spec != state_spec or [end.shape for end in ends] != [part.shape for part in before]:
        raise NotCoveredError("a state of another structure after the step than before")
    floats = {leaf.dtype for leaf in (*given, *before) if leaf.dtype != torch.bool}
    if len(floats) != 1 or any(leaf.dtype not in floats for leaf in (*before, *outputs)):
        raise NotCoveredError("inputs, states and outputs of several types")
    if any(end.dtype != part.dtype for end, part in zip(ends, before, strict=True)):
        raise NotCoveredError("a state of another type after the step than before")
    if not ends:
        raise NotCoveredError("no state: all steps can be taken at once")
    values = [watch.node(leaf) for leaf in (*outputs, *ends)]
    values = [filled(node, leaf) for node, leaf in zip(values, (*outputs, *ends), strict=True)]
    watch.recipe.keep(watch.used)
    return Step(
        graph=watch.graph,
        outputs=values[: len(outputs)],
        state=values[len(outputs) :],
        output_spec=output_spec,
        state_spec=state_spec,
        input_widths=[width(leaf) for leaf in given],
        state_widths=[width(leaf) for leaf in before],
        state_shapes=[tuple(leaf.shape[1:]) for leaf in before],
        output_shapes=[tuple(leaf.shape[1:]) for leaf in outputs],
        recipe=watch.recipe,
        used=watch.used,
        matrices=watch.matrices,
    )


@contextmanager
def _calls_none_with_hooks(cell: Cell) -> Iterator[None]:
    """Raise a NotCoveredError where a module with hooks is called: they would hear of this step alone."""
    called: list[str] = []
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    handles = [
        module.register_forward_pre_hook(lambda module, _: called.append(type(module).__name__))
        for module in cell.modules()
        if any(getattr(module, name) for name in hooks)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    if called:
        raise NotCoveredError(f"a step that calls a module with hooks, {called[0]}")


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Makes the graph while a step runs."""

    def __init__(self, cell: Cell, rows: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows = rows
        self.dtype: torch.dtype | None = None
        self.graph = Graph()
        self.recipe = Recipe(cell)
        #: By identity, with the tensor, so that no other one can have its place in memory.
        self.values: dict[int, tuple[Node, Tensor]] = {}
        self.used: list[int] = []
        self.matrices: set[int] = set()
        self._transposed: dict[int, Tensor] = {}
        self._alive: list[Any] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # its import takes a second, and nothing compiles this

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # These must not even be called here.
        if func._schema.is_mutable:
            raise NotCoveredError(f"{func}, which writes into a tensor")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NotCoveredError(f"{func}, which draws random numbers")
        made = func(*args, **kwargs)
        self._alive.append(made)
        parts = [] if made is None else tree_leaves(made)
        if not all(isinstance(part, Tensor) for part in parts):
            raise NotCoveredError(f"{func}, which reads a number")
        if not any(map(self.is_value, tree_leaves((args, kwargs)))):
            self.recipe.record(func, args, kwargs, made)
            if func is aten.t.default and made.ndim == 2:
                self._transposed[id(made)] = args[0]
            return made
        for part in parts:
            if part.ndim == 0 or part.shape[0] != self.rows:
                raise NotCoveredError(f"{func}, whose value has no rows")
            width(part)
            if part.is_floating_point() and part.dtype != self.dtype:
                raise NotCoveredError(f"{func}, whose value is of another type than the cell")
            if not (part.is_floating_point() or part.dtype == torch.bool or func.overloadpacket in INTEGERS):
                raise NotCoveredError(f"{func}, whose value is a whole number")
        for node, part in zip(translate(self, func, args, kwargs, made), parts, strict=True):
            self.values[id(part)] = node, part
        return made

    def is_value(self, operand: Any) -> bool:
        """Whether an operand is a value of the step, and not weights or a number."""
        return id(operand) in self.values

    def node(self, operand: Any) -> Node:
        """Return an operand as a node: a value of the step, weights or a number."""
        if self.is_value(operand):
            return self.values[id(operand)][0]
        if isinstance(operand, bool | int | float):
            return self.graph.node(float(operand))
        if not isinstance(operand, Tensor):
            raise NotCoveredError(f"an operand {operand!r}")
        shape = operand.shape
        if operand.is_complex() or len(shape) > 2 or (len(shape) == 2 and shape[0] != 1):
            raise NotCoveredError(f"weights of shape {tuple(shape)}, used number by number")
        return self.graph.vector(self._use(operand), shape[-1] if shape else 1)

    def matrix(self, operand: Tensor) -> Block:
        """Return a matrix of weights."""
        if (whole := self._transposed.get(id(operand))) is not None:  # read as it lies, without an operation
            return self.matrix(whole).t
        self.matrices.add(index := self._use(operand))
        return Block(index, 0, operand.shape[0], 0, operand.shape[1])

    def _use(self, operand: Tensor) -> int:
        place = self.recipe.place(operand)
        if place not in self.used:
            self.used.append(place)
        return self.used.index(place)
