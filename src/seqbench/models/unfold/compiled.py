"""Unfolding in slices of time, each of which torch's compiler has made one function.

A slice of `SLICE` steps is compiled once for each kind and size of cell, size of batch, and number of seeds;
sequences may have any length. Torch caches what it has compiled on disk, where other processes find it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from seqbench.models.unfold.cell import Cell, State
from seqbench.models.unfold.loop import loop

#: Steps compiled as one. More of them take longer to compile and hardly less time to run.
SLICE = 10

Dims = tuple[int | None, ...]
#: The structures of a projected input and a state.
Specs = tuple[TreeSpec, TreeSpec]


def run_compiled(
    cell: Cell, projected: Any, state: State, valid: Tensor | None, *, last: Tensor | None = None
) -> tuple[Tensor, State]:
    """Return what `loop` returns; the last T mod `SLICE` steps are run by it.

    Without gradients `loop` runs all steps: evaluations come in batches of other sizes.
    """
    inputs, input_spec = tree_flatten(projected)
    steps = len(inputs[0])
    whole = steps // SLICE * SLICE if torch.is_grad_enabled() else 0
    weights = [*cell.parameters(), *cell.buffers()]
    # The first state must look like the later ones (batched by vmap, with a gradient), or there would be two
    # slices to compile.
    nothing = 0 * inputs[0].flatten()[0]
    parts, state_spec = tree_flatten(state)
    parts = [part + nothing for part in parts]
    last = None if last is None else last + nothing
    outputs = []
    # split, like unbind, has one backward for all slices.
    sizes = [SLICE] * (whole // SLICE) + [steps - whole]
    slices = list(zip(*(torch.split(part, sizes) for part in inputs), strict=True))
    specs = input_spec, state_spec
    for i, time_slice in enumerate(slices[:-1]):
        now = None if valid is None else valid[i * SLICE : (i + 1) * SLICE]
        given = (now, last, *time_slice, *parts, *weights)
        if any(g is not None and torch._C._functorch.is_batchedtensor(g) for g in given):
            output, *new = _UnderVmap.apply(cell, specs, *given)  # type: ignore[no-untyped-call]
        else:
            output, *new = _compiled(cell, specs, given, None)(*given)
        outputs.append(output)
        # As a view it is never the state itself, which the compiler would treat as a case of its own.
        parts, last = new, None if last is None else output.view_as(output)
    state = tree_unflatten(parts, state_spec)
    if whole < steps:
        rest = None if valid is None else valid[whole:]
        output, state = loop(cell, tree_unflatten(slices[-1], input_spec), state, rest, last=last)
        outputs.append(output)
    return torch.cat(outputs) if last is None else outputs[-1], state


class _UnderVmap(torch.autograd.Function):
    """Passes the stacked tensors behind vmap's to a slice that applies vmap itself.

    The compiler cannot be called under vmap.
    """

    @staticmethod
    def vmap(info: Any, in_dims: Any, cell: Cell, specs: Specs, *given: Tensor | None) -> Any:
        dims = [None if tensor is None else dim for tensor, dim in zip(given, in_dims[2:], strict=True)]
        stacked = [g if g is None or d is None else g.movedim(d, 0) for g, d in zip(given, dims, strict=True)]
        dims = [None if dim is None else 0 for dim in dims]
        found = _compiled(cell, specs, stacked, tuple(dims))(*stacked)
        return found, (0,) * len(found)

    @staticmethod
    def forward(*given: Any) -> Any:
        raise NotImplementedError("This is for vmap alone.")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass


class _Slice(nn.Module):
    def __init__(self, cell: Cell, specs: Specs) -> None:
        super().__init__()
        self.cell = cell
        self.specs = specs

    def forward(self, valid: Tensor | None, last: Tensor | None, *parts: Tensor) -> tuple[Tensor, ...]:
        input_spec, state_spec = self.specs
        projected = tree_unflatten(list(parts[: input_spec.num_leaves]), input_spec)
        state = tree_unflatten(list(parts[input_spec.num_leaves :]), state_spec)
        outputs, state = loop(self.cell, projected, state, valid, last=last)
        return outputs, *tree_flatten(state)[0]


_SLICES: dict[Any, Callable[..., Any]] = {}


def _compiled(
    cell: Cell, specs: Specs, given: Sequence[Tensor | None], dims: Dims | None
) -> Callable[..., Any]:
    """Return a compiled slice: `_Slice.forward`, with the cell's weights as further arguments.

    Cells that differ only in the values of their weights share one.

    Args:
        cell: the kind of cell.
        specs: the structures of projected input and state.
        given: arguments of the sizes and types to compile for.
        dims: which dimension of each argument is vmap's, which is then applied inside; None for no vmap.
    """
    names = [name for name, _ in [*cell.named_parameters(), *cell.named_buffers()]]
    settings = [
        (name, value)
        for module in cell.modules()
        for name, value in vars(module).items()
        if not name.startswith("_")
    ]
    sizes = tuple(None if g is None else (g.shape, g.dtype, g.device) for g in given)
    key = (type(cell), repr(settings), tuple(names), str(specs), sizes, dims)
    if key not in _SLICES:
        # A copy without weights: those of the cell may be vmap's now.
        weightless: dict[int, Any] = {id(p): nn.Parameter(torch.empty(0)) for p in cell.parameters()}
        weightless |= {id(buffer): torch.empty(0) for buffer in cell.buffers()}
        one_slice = _Slice(copy.deepcopy(cell, weightless), specs)
        weights = [f"cell.{name}" for name in names]

        def one(*given: Tensor | None) -> Any:
            values: dict[str, Any] = dict(zip(weights, given[-len(names) :], strict=True))
            return functional_call(one_slice, values, given[: -len(names)])

        def run(*given: Tensor | None) -> Any:
            return one(*given) if dims is None else vmap(one, in_dims=dims)(*given)

        # The compiler caches by the function's code, and each slice needs an entry of its own.
        own = FunctionType(run.__code__.replace(), run.__globals__, run.__name__, None, run.__closure__)
        _SLICES[key] = torch.compile(own, dynamic=False, fullgraph=True)
    return _SLICES[key]
